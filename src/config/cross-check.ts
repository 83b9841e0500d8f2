import { access, constants } from 'node:fs/promises'
import { isLoopbackHost } from '../lib/address.ts'
import { nearestWord } from '../lib/spelling.ts'
import type { keys } from './keys.ts'
import type { Overrides } from './load.ts'
import { checkServers } from './check-servers.ts'
import { type MapNode, memberPath, NOWHERE } from './node.ts'
import type { DatabaseSettings, ServerSettings } from './settings.ts'
import type { Context, Place, ValueOf } from './spec.ts'

type Parts = Partial<ValueOf<typeof keys>>

/** What only shows when several parts of the configuration are looked at together. */
export async function crossCheck(
  root: MapNode,
  parts: Parts,
  overrides: Overrides,
  context: Context,
): Promise<void> {
  checkOpenDoor(parts, context)
  checkNames(parts, overrides, context)
  checkServers(root, parts.aggregate?.delimiter, context)
  await checkTls(parts.server, overrides, context)
}

const at = (key: string, context: Context): Pick<Place, 'where' | 'path'> =>
  context.places.get(key) ?? { where: NOWHERE, path: key }

/** G9: without credentials, only this machine may reach the gateway. */
function checkOpenDoor({ auth, server }: Parts, context: Context): void {
  if (!auth || auth.enabled) return
  if (!server) return
  if (isLoopbackHost(server.host)) {
    const message = 'authentication is off: whoever can use this machine may call without a token'
    context.report.warning('config_insecure', at('auth.enabled', context), message)
    return
  }
  context.report.problem(
    'config_insecure',
    at('auth.enabled', context),
    `authentication cannot be off on ${server.host === '' ? 'every interface' : 'an address that others can reach'}: listen on 127.0.0.1 or keep it on`,
  )
}

function checkNames({ databases, auth }: Parts, overrides: Overrides, context: Context): void {
  const seen = new Set<string>()
  for (const [index, { name }] of (databases ?? []).entries()) {
    if (seen.has(name))
      context.report.problem(
        'config_conflict',
        at(`databases[${index}].name`, context),
        `"${name}" names two databases`,
      )
    seen.add(name)
  }
  for (const name of overrides.demoDatabases ?? []) {
    if (seen.has(name))
      context.report.problem(
        'config_conflict',
        { where: { kind: 'option', option: '--demo' }, path: 'databases' },
        `adds a database "${name}", which is configured already: rename one`,
      )
    seen.add(name)
  }
  // Databases that could not be read have no name to compare with.
  if (!databases) return
  const tenantsOf = new Map(databases.map((database) => [database.name, servedTenants(database)]))
  for (const { name: token, databases: allowed, tenant } of auth?.tokens ?? []) {
    if (allowed === 'all') continue
    const place = at(`${memberPath('auth.tokens', token)}.databases`, context)
    for (const name of allowed) {
      const tenants = tenantsOf.get(name) ?? 'all'
      if (tenants !== 'all' && !tenants.includes(tenant))
        context.report.warning(
          'config_ignored',
          place,
          `names "${name}", which is not open to tenant "${tenant}" of this token: see databases[].tenants`,
        )
      if (!seen.has(name))
        context.report.problem(
          'config_bad_value',
          place,
          `"${name}" is not a configured database`,
          nearestWord(name, seen),
        )
    }
    if (allowed.length === 0)
      context.report.warning('config_ignored', place, 'is empty: this token may use no database')
  }
}

/** A database that does not keep tenants apart is the first tenant's, unless somebody says otherwise. */
const servedTenants = ({ tenants, tenancy }: DatabaseSettings): 'all' | readonly string[] =>
  tenants ?? (tenancy === null ? ['default'] : 'all')

async function checkTls(
  server: ServerSettings | undefined,
  overrides: Overrides,
  context: Context,
): Promise<void> {
  if (!server) return
  if (!server.tls) {
    if (overrides.tls === true)
      context.report.problem(
        'config_missing',
        { where: { kind: 'option', option: '--tls' }, path: 'server.tls' },
        'needs a certificate and a key: add --cert and --key, or server.tls.cert and server.tls.key',
      )
    return
  }
  for (const [key, file] of [
    ['cert', server.tls.certFile],
    ['key', server.tls.keyFile],
  ] as const) {
    try {
      await access(file, constants.R_OK)
    } catch {
      context.report.problem(
        'config_unreadable',
        at(`server.tls.${key}`, context),
        `names a file that cannot be read: ${file}`,
      )
    }
  }
}
