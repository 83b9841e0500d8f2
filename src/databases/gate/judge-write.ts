import type { Refusal } from '../../access/refusal.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { namedIn } from './named-in.ts'
import { refuseSql } from './rules.ts'
import type { Names, SearchPath } from './verdict.ts'

export interface JudgedWrite {
  readonly sessionState: boolean
  readonly relations: readonly string[]
}

/** Statements whose effect is on the session: useful only where the session goes on afterwards. */
const SESSION_STATEMENTS: ReadonlySet<string> = new Set([
  'VariableSetStmt',
  'PrepareStmt',
  'ExecuteStmt',
  'DeallocateStmt',
  'DeclareCursorStmt',
  'FetchStmt',
  'ClosePortalStmt',
  'ConstraintsSetStmt',
])

/** Statements that would take the connection out of Postern's hands, for anybody. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ['ListenStmt', 'LISTEN waits on a connection that others will use'],
  ['UnlistenStmt', 'UNLISTEN is for connections that listen'],
  ['DiscardStmt', 'DISCARD throws away what Postern has prepared on the connection'],
  ['LoadStmt', "LOAD runs a library from the server's disk"],
])

/** `SET` of these names changes who runs the statement, or the transaction that Postern holds. */
const REFUSED_SETTINGS: ReadonlySet<string> = new Set([
  'transaction',
  'transaction snapshot',
  'session characteristics',
  'role',
  'session_authorization',
  'transaction_read_only',
  'transaction_isolation',
  'transaction_deferrable',
  'default_transaction_read_only',
  'default_transaction_isolation',
  'default_transaction_deferrable',
  'client_encoding',
  'standard_conforming_strings',
])

/**
 * Judges a single statement that is not a read, for somebody who may do everything that the database role
 * may. What stays refused keeps the connection usable: transaction control, COPY (another protocol), and
 * changes of identity.
 */
export function judgeWrite(
  kind: string,
  statement: Readonly<Record<string, unknown>>,
  names: Names,
  path: SearchPath,
): Result<JudgedWrite, Refusal> {
  if (kind === 'TransactionStmt')
    return err(refuseSql('sql.transaction', 'Postern opens and ends the transaction itself', kind))
  if (kind === 'CopyStmt')
    return err(refuseSql('sql.copy', "COPY speaks a protocol of its own or uses the server's files", kind))
  const why = REFUSED.get(kind)
  if (why !== undefined) return err(refuseSql('sql.session', why, kind))
  if (kind === 'VariableSetStmt') {
    const set = statement[kind] as { name?: string; kind?: string }
    if (set.kind === 'VAR_RESET_ALL' || REFUSED_SETTINGS.has((set.name ?? '').toLowerCase()))
      return err(
        refuseSql(
          'sql.session',
          `${set.name ?? 'RESET ALL'} is for Postern to set, not for statements`,
          kind,
        ),
      )
  }
  const relations = new Set<string>()
  const sight = collectRelations(statement, names, path, relations)
  if (sight !== null) return err(sight)
  return ok({ sessionState: SESSION_STATEMENTS.has(kind), relations: [...relations] })
}

/**
 * Every relation that the statement names anywhere, for the audit; names of CTEs may be among them. Refuses what shows
 * one tenant to another, which an admin of a tenant may not see either.
 */
function collectRelations(tree: unknown, names: Names, path: SearchPath, found: Set<string>): Refusal | null {
  for (const { kind, name } of namedIn(tree)) {
    const refused = names.sight(kind, name, path)
    if (refused !== null) return refused
    if (kind === 'relation') found.add(names.relation(name, path).fullName)
  }
  return null
}
