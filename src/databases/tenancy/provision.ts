import { escapeIdentifier } from 'pg'
import type { Clock } from '../../lib/clock.ts'
import { connect } from '../connect.ts'
import { describeConnectError } from '../connect-error.ts'
import type { Connection } from '../connection.ts'
import type { DatabaseOptions, TenancyOptions } from '../options.ts'
import { runExchange } from '../run-exchange.ts'
import type { ServerError } from '../server-error.ts'
import type { TenantRoles } from './tenant-roles.ts'
import { makeTenantSql } from './tenant-sql.ts'

export interface ProvisionOptions {
  readonly options: DatabaseOptions
  readonly provisioner: NonNullable<TenancyOptions['provisioner']>
  readonly prefix: string
  readonly roles: TenantRoles
  readonly clock: Clock
  readonly track: (cancel: Promise<void>) => void
}

/** Roles belong to the whole server: somebody may make the same ones by way of another database at this moment. */
const AT_THE_SAME_TIME = new Set(['23505', '42710', '40P01', '40001', 'XX000'])
const MOST_TRIES = 4

/**
 * Makes the roles of tenants as the configured provisioner: one tenant after the other, each once however many wait for
 * it. What it returns rejects with an `Error` whose message is for the operator.
 */
export function provisioner(given: ProvisionOptions): (tenant: string) => Promise<void> {
  const running = new Map<string, Promise<void>>()
  let last: Promise<void> = Promise.resolve()
  return (tenant) => {
    const known = running.get(tenant)
    if (known !== undefined) return known
    const made = last
      .then(() => makeRoles(given, tenant))
      .finally(() => {
        running.delete(tenant)
      })
    running.set(tenant, made)
    last = made.catch(() => undefined)
    return made
  }
}

async function makeRoles(given: ProvisionOptions, tenant: string): Promise<void> {
  const { options, provisioner: login, clock } = given
  let connection: Connection
  try {
    connection = await connect(
      options,
      { kind: 'write', tenant, ...login },
      options.statementTimeoutMs,
      clock,
      given.track,
    ).connection
  } catch (error) {
    throw new Error(describeConnectError(error, options, login.user), { cause: error })
  }
  try {
    const version = Number.parseInt(connection.parameter('server_version') ?? '', 10)
    const statements = [
      'BEGIN',
      // One process after the other. No advisory lock: tenants can hold those, and could keep others waiting.
      `LOCK TABLE ${escapeIdentifier(given.prefix)}.tenant_roles IN SHARE ROW EXCLUSIVE MODE`,
      ...makeTenantSql({ roles: given.roles, prefix: given.prefix, version }, tenant),
      'COMMIT',
    ]
    for (let tries = 1; ; tries += 1) {
      const error = await runAll(connection, statements, given)
      if (error === null) return
      if (tries === MOST_TRIES || !AT_THE_SAME_TIME.has(error.sqlstate))
        throw new Error(
          `role "${login.user}" could not make the roles of tenant "${tenant}" (${error.message}, SQLSTATE ${error.sqlstate})`,
        )
      await runAll(connection, ['ROLLBACK'], given)
    }
  } finally {
    connection.close()
  }
}

async function runAll(
  connection: Connection,
  statements: readonly string[],
  { options, clock }: ProvisionOptions,
): Promise<ServerError | null> {
  for (const sql of statements) {
    const stopTimer = clock.after(options.statementTimeoutMs, () => {
      connection.destroy('the server did not answer in time', 'deadline')
    })
    const answer = await runExchange(
      connection,
      {
        sql,
        params: [],
        wrapping: 'bare',
        scrub: false,
        maxRows: 1,
        maxBytes: 64 * 1024,
        limitRows: false,
        beyondBytes: 'skip',
      },
      null,
      clock.now(),
      options.statementTimeoutMs,
    )
    stopTimer()
    if (answer.kind === 'error') return answer.error
    if (answer.kind !== 'rows')
      throw new Error('the connection was lost while the roles of a tenant were made')
  }
  return null
}
