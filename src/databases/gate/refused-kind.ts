import type { Refusal } from '../../access/refusal.ts'
import { type GateRule, READ_ONLY_MESSAGE, refuseSql } from './rules.ts'

const RULE_OF_KIND: ReadonlyMap<string, GateRule> = new Map<string, GateRule>([
  ['TransactionStmt', 'sql.transaction'],
  ['CopyStmt', 'sql.copy'],
  ['LockStmt', 'sql.lock'],
  ['LockingClause', 'sql.lock'],
  ['IntoClause', 'sql.into'],
  ['VariableSetStmt', 'sql.session'],
  ['DiscardStmt', 'sql.session'],
  ['ListenStmt', 'sql.session'],
  ['UnlistenStmt', 'sql.session'],
  ['NotifyStmt', 'sql.session'],
  ['PrepareStmt', 'sql.session'],
  ['ExecuteStmt', 'sql.session'],
  ['DeallocateStmt', 'sql.session'],
  ['DeclareCursorStmt', 'sql.session'],
  ['FetchStmt', 'sql.session'],
  ['ClosePortalStmt', 'sql.session'],
  ['ConstraintsSetStmt', 'sql.session'],
  ['LoadStmt', 'sql.session'],
])

/** Where people have another word than PostgreSQL's source. */
const LABELS: ReadonlyMap<string, string> = new Map([
  ['TransactionStmt', 'BEGIN, COMMIT or ROLLBACK'],
  ['VariableSetStmt', 'SET or RESET'],
  ['VacuumStmt', 'VACUUM or ANALYZE'],
  ['CreateStmt', 'CREATE TABLE'],
  ['ViewStmt', 'CREATE VIEW'],
  ['IndexStmt', 'CREATE INDEX'],
  ['RenameStmt', 'ALTER … RENAME'],
  ['ClosePortalStmt', 'CLOSE'],
])

/** `CreateTableAsStmt` as people say it: `CREATE TABLE AS`. */
export const statementLabel = (kind: string): string =>
  LABELS.get(kind) ??
  kind
    .replace(/Stmt$/, '')
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .toUpperCase()

/** The refusal of a node that no read consists of. */
export function refuseKind(kind: string): Refusal {
  const rule = RULE_OF_KIND.get(kind) ?? (kind.endsWith('Stmt') ? 'sql.write' : 'sql.node')
  if (rule === 'sql.into') return refuseSql(rule, `SELECT INTO creates a table: ${READ_ONLY_MESSAGE}`, kind)
  if (kind === 'LockingClause')
    return refuseSql(rule, `FOR UPDATE and FOR SHARE lock rows: ${READ_ONLY_MESSAGE}`, kind)
  if (rule === 'sql.node') return refuseSql(rule, `${kind} is not among the expressions of a read`, kind)
  return refuseSql(rule, `${statementLabel(kind)} is not a read: ${READ_ONLY_MESSAGE}`, kind)
}
