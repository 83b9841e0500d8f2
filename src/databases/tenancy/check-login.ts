import { escapeIdentifier } from 'pg'
import type { Clock } from '../../lib/clock.ts'
import type { Connection } from '../connection.ts'
import { runExchange } from '../run-exchange.ts'

/** What a fresh connection of a tenant turned out to be. */
export type LoginCheck =
  | { readonly kind: 'ready' }
  /** Its role is not what `makeTenantSql` makes: making it again helps. */
  | { readonly kind: 'unmade'; readonly message: string }
  /** Row security would not hold it, or would show it somebody else's rows. */
  | { readonly kind: 'unfit'; readonly message: string }
  | { readonly kind: 'lost' }

/**
 * Asks the database itself whose rows a fresh connection will see, and whether row security holds it. A role belongs
 * to the whole server and what it stands for to one database, so that it could log in and stand for nobody.
 *
 * @param user what it logged in as
 */
export async function checkLogin(
  connection: Connection,
  user: string,
  prefix: string,
  clock: Clock,
  timeoutMs: number,
): Promise<LoginCheck> {
  // A pooler in between may log in as somebody else, with a password of its own.
  if (connection.parameter('session_authorization') !== user)
    return {
      kind: 'unfit',
      message: `a connection for role "${user}" is not that role's: connect to PostgreSQL itself, not through a pooler that chooses the role`,
    }
  const stopTimer = clock.after(timeoutMs, () => {
    connection.destroy('the server did not answer in time', 'deadline')
  })
  const answer = await runExchange(
    connection,
    {
      sql: checkSql(prefix),
      params: [],
      wrapping: 'bare',
      scrub: false,
      maxRows: 1,
      maxBytes: 64 * 1024,
      limitRows: false,
      beyondBytes: 'stop',
    },
    null,
    clock.now(),
    timeoutMs,
  )
  stopTimer()
  if (answer.kind === 'error' && !answer.error.fatal)
    return {
      kind: 'unmade',
      message: `role "${user}" cannot ask whose it is (${answer.error.message}, SQLSTATE ${answer.error.sqlstate})`,
    }
  if (answer.kind !== 'rows') return { kind: 'lost' }
  const [tenant, unheld] = answer.rows[0] ?? []
  if (unheld !== false)
    return {
      kind: 'unfit',
      message: `role "${user}" is a superuser or has BYPASSRLS: no row security holds it`,
    }
  if (tenant === null)
    return { kind: 'unmade', message: `role "${user}" stands for no tenant in ${prefix}.tenant_roles` }
  if (tenant !== connection.tenant)
    return { kind: 'unfit', message: `role "${user}" stands for another tenant in ${prefix}.tenant_roles` }
  return { kind: 'ready' }
}

/** Every name is qualified: what stands in the search path must not answer in PostgreSQL's place. */
const checkSql = (prefix: string): string =>
  `SELECT ${escapeIdentifier(prefix)}.tenant(), r.rolsuper OR r.rolbypassrls FROM pg_catalog.pg_roles r WHERE r.rolname OPERATOR(pg_catalog.=) session_user`
