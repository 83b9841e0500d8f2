import { escapeIdentifier } from 'pg'
import { Fault } from '../../lib/fault.ts'
import type { CatalogueRow } from '../catalogue-row.ts'
import { FUNCTION_QUERY, relationsQuery, RIGHTS_QUERY, ROLES_QUERY } from './protection-queries.ts'

export type ProtectionQuery = (sql: string, params: readonly unknown[]) => Promise<CatalogueRow[]>

/** How many of the things that are wrong are named. */
const MOST_NAMED = 3

/**
 * Looks whether a database keeps its tenants apart, whatever SQL they send: that nothing that a tenant can reach is
 * without row security, and that no role of a tenant could get around it. Reads the catalogue and no table but the
 * notes of Postern's own.
 *
 * @returns what is wrong and what to run, for the operator; `null` when it is protected
 * @throws Fault `database_unavailable`
 */
export async function checkProtection(
  query: ProtectionQuery,
  prefix: string,
  database: string,
): Promise<string | null> {
  const wrong = await findWrong(query, prefix)
  if (wrong.length === 0) return null
  const named = wrong.slice(0, MOST_NAMED).join('; ')
  const more = wrong.length > MOST_NAMED ? `; and ${wrong.length - MOST_NAMED} more` : ''
  return `tenants are not kept apart: ${named}${more}. Run "postern database protect ${database}", or take the right back`
}

async function findWrong(query: ProtectionQuery, prefix: string): Promise<string[]> {
  const made = await wrongFunction(query, prefix)
  if (made !== null) return [made]
  const roles = await query(ROLES_QUERY, [prefix])
  const rights = await query(RIGHTS_QUERY, [prefix])
  let relations: CatalogueRow[]
  try {
    relations = await query(relationsQuery(escapeIdentifier(prefix)), [prefix])
  } catch (fault) {
    // Postern's own role has to see what is shared on purpose.
    if (!(fault instanceof Fault) || fault.code !== 'internal' || !(fault.cause instanceof Error)) throw fault
    return [`the notes in ${prefix}.protected_relations cannot be read: ${fault.cause.message}`]
  }
  return [...roles, ...relations, ...rights].map(
    ({ kind, name, problem }) =>
      `${kind === 'relation' ? '' : `${String(kind)} `}${String(name)} ${String(problem)}`,
  )
}

async function wrongFunction(query: ProtectionQuery, prefix: string): Promise<string | null> {
  const [found] = await query(FUNCTION_QUERY, [prefix])
  if (found === undefined) return `there is no function ${prefix}.tenant()`
  const { definer, volatility, settings, definition } = found
  const path =
    Array.isArray(settings) && settings.some((each) => /^search_path=pg_catalog\b/.test(String(each)))
  const asks = /\bsession_user\b/i.test(String(definition))
  return definer === true && volatility === 's' && path && asks
    ? null
    : `function ${prefix}.tenant() is not the one that Postern makes`
}
