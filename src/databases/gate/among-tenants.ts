import type { Refusal } from '../../access/refusal.ts'
import { refuseSql } from './rules.ts'

/**
 * Statements that hold SQL in strings, or put a function behind another name: whatever is refused here could be asked
 * for in them. A tenant may make such things for its own session only, so little is lost.
 */
const HIDES_SQL: ReadonlyMap<string, string> = new Map([
  ['DoStmt', 'a DO block'],
  ['CreateFunctionStmt', 'a function'],
  ['DefineStmt', 'an operator, aggregate or the like'],
])

/** Settings of the roles that tenants log in as: their password and what they begin with are Postern's. */
const ROLES: ReadonlySet<string> = new Set(['AlterRoleStmt', 'AlterRoleSetStmt'])

/** Why a statement is refused where several tenants share the database, also to admins; `null` when it is not. */
export function refuseAmongTenants(
  kind: string,
  statement: Readonly<Record<string, unknown>>,
): Refusal | null {
  const hides = HIDES_SQL.get(kind)
  if (hides !== undefined)
    return refuseSql(
      'sql.tenants',
      `${hides} may hold what the gate cannot read, and tenants share this database`,
      kind,
    )
  if (ROLES.has(kind))
    return refuseSql('sql.tenants', 'roles of this database are for Postern to change', kind)
  if (kind === 'LockStmt')
    // It would end with the call. While it waits for one long read, everybody else waits behind it.
    return refuseSql('sql.tenants', 'a lock on a table keeps all of its tenants waiting', kind)
  if (kind === 'ExplainStmt' && isOn(statement[kind], 'analyze'))
    // "Rows Removed by Filter" counts rows of others; with a condition on an index that is a search of their values.
    return refuseSql(
      'sql.tenants',
      'EXPLAIN ANALYZE counts rows of other tenants: use EXPLAIN without it',
      kind,
    )
  if (kind === 'ExplainStmt' && isOn(statement[kind], 'costs', true))
    // Estimates follow samples of all rows: by halving, value for value can be read out of them.
    return refuseSql(
      'sql.tenants',
      'EXPLAIN estimates by the values of other tenants: use EXPLAIN (COSTS off)',
      kind,
    )
  return null
}

interface Option {
  readonly DefElem?: {
    readonly defname?: string
    readonly arg?: {
      readonly Boolean?: { readonly boolval?: boolean }
      readonly String?: { readonly sval?: string }
      readonly Integer?: { readonly ival?: number }
    }
  }
}

/** What is not clearly switched off counts as on, wherever among the options it stands. */
function isOn(explain: unknown, name: string, unlessSaid = false): boolean {
  const { options = [] } = explain as { readonly options?: readonly Option[] }
  const named = options.filter(({ DefElem: option }) => option?.defname?.toLowerCase() === name)
  return named.length === 0 ? unlessSaid : !named.every(({ DefElem: option }) => isOff(option?.arg))
}

const isOff = (arg: NonNullable<Option['DefElem']>['arg']): boolean =>
  (arg?.Boolean !== undefined && arg.Boolean.boolval !== true) ||
  (arg?.Integer !== undefined && (arg.Integer.ival ?? 0) === 0) ||
  /^(off|false)$/i.test(arg?.String?.sval ?? '')
