import { type Refusal, refusal } from '../../access/refusal.ts'

/** What every refusal of a statement that is not a read says; clients match on this wording. */
export const READ_ONLY_MESSAGE =
  'read-only users may only execute SELECT, EXPLAIN, SHOW, DESCRIBE, or WITH...SELECT statements'

/** Every rule of the gate with what is allowed instead. Each has its line in `docs/sql-gate.md`; a test compares. */
export const RULES = {
  'sql.empty': 'one statement, such as SELECT 1',
  'sql.too_long': 'statements of at most 100,000 bytes; bind long values as parameters',
  'sql.characters': 'valid Unicode text without NUL, and no run of more than 256 operator characters',
  'sql.too_deep': 'less nesting: flatten the expression, use IN (…) or a join against VALUES',
  'sql.syntax': 'one statement in the grammar of PostgreSQL 18',
  'sql.one_statement': 'exactly one statement per call; send the others in calls of their own',
  'sql.transaction': 'single statements; Postern opens and ends the transaction itself',
  'sql.session': 'statements that leave the session as it was',
  'sql.copy': 'SELECT, and the CSV or NDJSON form of the answer',
  'sql.write': 'SELECT, VALUES, TABLE, WITH … SELECT, EXPLAIN of these, and SHOW',
  'sql.into': 'SELECT without INTO: the answer comes back to you, it is not stored',
  'sql.lock': 'SELECT without FOR UPDATE, FOR NO KEY UPDATE, FOR SHARE or FOR KEY SHARE',
  'sql.explain': 'EXPLAIN of a SELECT, VALUES, TABLE or WITH … SELECT that would be allowed without EXPLAIN',
  'sql.explain_option':
    'the options ANALYZE, VERBOSE, COSTS, SETTINGS, GENERIC_PLAN, BUFFERS, SERIALIZE, WAL, TIMING, SUMMARY, MEMORY and FORMAT',
  'sql.node': 'the clauses and expressions of a read, as docs/sql-gate.md lists them',
  'sql.function':
    'functions that are IMMUTABLE or STABLE and that the gate can read, and now(), random() and their like',
  'sql.function_unknown':
    'functions that exist in this database; name the schema when it is not in the search path',
  'sql.operator': 'operators whose functions are allowed',
  'sql.type': 'types whose casts and constraints call only functions that are allowed',
  'sql.relation': 'tables, views and the descriptive part of pg_catalog and information_schema',
  'sql.tenants': 'what concerns your own rows; the database is shared with other tenants',
  'sql.view': 'views that are themselves made only of what is allowed',
} as const

export type GateRule = keyof typeof RULES

/** A refusal by one of the gate's rules; `node` is the kind of syntax node that was the reason. */
export function refuseSql(rule: GateRule, message: string, node?: string): Refusal {
  return refusal(rule === 'sql.syntax' ? 'sql_syntax' : 'sql_refused', rule, message, {
    allowed: RULES[rule],
    ...(node === undefined ? {} : { node }),
  })
}
