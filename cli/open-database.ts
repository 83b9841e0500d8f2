import { join } from 'node:path'
import type { Gate } from '../src/databases/gate/judge.ts'
import type { DatabaseOptions, OpenDatabases } from '../src/databases/open.ts'
import type { Settings } from '../src/config/settings.ts'
import { Lifelines } from '../src/identity/lifelines.ts'
import type { CliCode } from './codes.ts'
import type { Invocation } from './command.ts'
import { createNotices } from './notices.ts'

export interface OneDatabase {
  readonly name: string
  readonly databases: OpenDatabases
}

/** The configured database that `--database` names, the first one without it; `undefined` where there is none. */
export const chosenDatabase = (
  settings: Settings,
  name: string | undefined,
): Settings['databases'][number] | undefined =>
  name === undefined ? settings.databases[0] : settings.databases.find((database) => database.name === name)

/** There is no such database: says which there are. */
export const noSuchDatabase = (invocation: Invocation, settings: Settings, name: string | undefined): 1 => {
  const names = settings.databases.map((database) => database.name)
  return invocation.fail({
    code: 'unknown_database' satisfies CliCode,
    message:
      names.length === 0
        ? 'no database is configured: add one to the configuration and name the file with --config'
        : `there is no database "${name}" in the configuration: there is ${names.join(', ')}`,
    details: { candidates: names },
  })
}

/** Opens one database the way the gateway does, lets `work` use it, and closes it. */
export async function withDatabase<T>(
  invocation: Invocation,
  settings: Settings,
  options: DatabaseOptions,
  gate: Gate,
  work: (opened: OneDatabase) => Promise<T>,
): Promise<T> {
  const { openDatabases } = await import('../src/databases/open.ts')
  const key = options.tenancy == null ? {} : { tenantKey: await tenantKeyOf(settings) }
  const databases = await openDatabases([options], {
    gate,
    lifelines: new Lifelines(),
    clock: invocation.clock,
    observe: createNotices(invocation),
    limits: settings.limits,
    ...key,
  })
  try {
    return await work({ name: options.name, databases })
  } finally {
    await databases.close()
  }
}

/** The key that the gateway derives the roles of tenants from. Only the gateway makes one: another would be of no use. */
async function tenantKeyOf({ dataDir }: Settings): Promise<Uint8Array> {
  const [{ readKeyFile }, { tenantKey }, { Fault }] = await Promise.all([
    import('../src/lib/key-file.ts'),
    import('../src/databases/tenancy/tenant-key.ts'),
    import('../src/lib/fault.ts'),
  ])
  const file = join(dataDir, 'secret.key')
  const secret = await readKeyFile(file)
  if (secret !== null) return tenantKey(secret)
  throw new Fault(
    'config_invalid',
    `the roles of tenants are derived from the key file ${file}, which is missing: the first start of the gateway makes it`,
  )
}
