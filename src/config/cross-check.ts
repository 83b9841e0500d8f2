import { access, constants } from 'node:fs/promises'
import { isLoopbackHost } from '../lib/address.ts'
import { OWN_NAME } from '../lib/own-paths.ts'
import { nearestWord } from '../lib/spelling.ts'
import type { keys } from './keys.ts'
import type { Overrides } from './load.ts'
import { memberPath, NOWHERE, showName } from './node.ts'
import type { ServerSettings } from './settings.ts'
import type { Context, Place, ValueOf } from './spec.ts'

type Parts = Partial<ValueOf<typeof keys>>

/** What only shows when several parts of the configuration are looked at together. */
export async function crossCheck(parts: Parts, overrides: Overrides, context: Context): Promise<void> {
  checkOpenDoor(parts, context)
  checkNames(parts, overrides, context)
  checkServers(parts, context)
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
  for (const { name: token, databases: allowed } of auth?.tokens ?? []) {
    if (allowed === 'all') continue
    const place = at(`${memberPath('auth.tokens', token)}.databases`, context)
    for (const name of allowed) {
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

/** Names that servers and tokens use of each other, and that the delimiter must tell apart. */
function checkServers({ mcpServers, auth, aggregate }: Parts, context: Context): void {
  if (!mcpServers) return
  const servers = mcpServers.map(({ name }) => name)
  for (const { name, rules } of mcpServers) {
    const key = memberPath('mcpServers', name)
    // `a_` and `_b` with the delimiter `__` would be `a` and `__b` as well.
    if (aggregate && `${name}${aggregate.delimiter}`.indexOf(aggregate.delimiter) !== name.length)
      context.report.problem(
        'config_conflict',
        at(key, context),
        `cannot be told from the names of its tools: rename it, or change aggregate.delimiter (${aggregate.delimiter})`,
      )
    if (!auth) continue
    const tokens = auth.tokens.map((token) => token.name)
    for (const token of rules.authTokens ?? [])
      if (!tokens.includes(token))
        context.report.problem(
          'config_bad_value',
          at(memberPath(key, 'authTokens'), context),
          `"${showName(token)}" is not a token of auth.tokens`,
          nearestWord(token, tokens),
        )
  }
  for (const { name: token, servers: allowed } of auth?.tokens ?? []) {
    const place = at(memberPath(memberPath('auth.tokens', token), 'servers'), context)
    for (const name of allowed === 'all' ? [] : allowed)
      if (name !== OWN_NAME && !servers.includes(name))
        context.report.problem(
          'config_bad_value',
          place,
          `"${showName(name)}" is not a configured MCP server`,
          nearestWord(name, [...servers, OWN_NAME]),
        )
    for (const { name, rules } of mcpServers)
      if (allowed !== 'all' && !allowed.includes(name) && rules.authTokens?.includes(token) === true)
        context.report.warning(
          'config_conflict',
          place,
          `does not name ${name}, whose authTokens name this token: it may not use that server`,
        )
  }
}

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
