import { spellingOf } from './policies.ts'
import type { ColumnFacts, ProtectionFacts, RelationFacts } from './protection-facts.ts'
import { shownRelation } from './quote-relation.ts'
import { relationsNamed } from './relation-names.ts'

export interface Choice {
  /** The column that holds the tenant, in tables that are named in no key column. */
  readonly column: string
  /** Where tables are looked for. */
  readonly schemas: readonly string[]
  /** Only these tables; `null` for all that have the column. */
  readonly tables: readonly string[] | null
  /** Tables and views that all tenants may read as they are. */
  readonly shared: readonly string[]
  /** Tables whose tenant is in another column, with that column. */
  readonly keyColumns: readonly (readonly [table: string, column: string])[]
}

export interface ChosenTable {
  readonly table: RelationFacts
  readonly column: ColumnFacts
}

/** What becomes of the relations of a database. */
export interface Chosen {
  readonly protected: readonly ChosenTable[]
  readonly shared: readonly RelationFacts[]
  /** Tables that have the column, and policies of their own that would no longer mean the same. */
  readonly blocked: readonly RelationFacts[]
  readonly problems: readonly string[]
}

/**
 * Decides which tables are protected and which are shared: those that were named, and those that are already. What
 * hangs below a protected table (partitions, children) is protected with it, wherever it is.
 */
export function chooseRelations(facts: ProtectionFacts, choice: Choice): Chosen {
  const problems: string[] = []
  const tables = facts.relations.filter(({ kind }) => kind === 'table')
  const named = (text: string, among: readonly RelationFacts[], what: string): readonly RelationFacts[] => {
    const found = relationsNamed(text, among, choice.schemas)
    if (found.length === 0)
      problems.push(`there is no ${what} "${text}" in schema ${choice.schemas.join(', ')}`)
    return found
  }
  const keyOf = new Map(
    choice.keyColumns.flatMap(([text, column]) =>
      named(text, tables, 'table').map(({ oid }) => [oid, column] as const),
    ),
  )
  const shared = new Map(
    [
      ...choice.shared.flatMap((text) => named(text, facts.relations, 'table or view')),
      ...facts.relations.filter(({ note }) => note?.kind === 'shared'),
    ].map((relation) => [relation.oid, relation]),
  )
  const only = choice.tables?.flatMap((text) => named(text, tables, 'table').map(({ oid }) => oid))
  const chosen = new Map<string, ColumnFacts>()
  const take = (table: RelationFacts, name: string, needed: boolean): void => {
    const column = table.columns.find((each) => each.name === name)
    if (column === undefined) {
      if (needed) problems.push(`table ${shownRelation(table)} has no column "${name}"`)
    } else if (spellingOf(column.type) === null) {
      problems.push(
        `column "${name}" of ${shownRelation(table)} is of type ${column.type}, which cannot hold the id of a tenant`,
      )
    } else chosen.set(table.oid, column)
  }
  for (const table of tables) {
    if (shared.has(table.oid)) {
      if (keyOf.has(table.oid) || only?.includes(table.oid) === true || table.note?.kind === 'tenant')
        problems.push(`table ${shownRelation(table)} cannot be shared and protected`)
      continue
    }
    const noted = table.note?.kind === 'tenant' ? table.note.column : null
    const inReach = only === undefined ? choice.schemas.includes(table.schema) : only.includes(table.oid)
    const key = keyOf.get(table.oid) ?? noted
    if (key !== null) take(table, key, true)
    else if (inReach) take(table, choice.column, only !== undefined)
  }
  takeChildren(tables, chosen, (table, name) => {
    take(table, name, true)
  })
  const candidates = tables.flatMap((table) => {
    const column = chosen.get(table.oid)
    return column === undefined ? [] : [{ table, column }]
  })
  for (const { table } of candidates)
    for (const parent of table.parents.flatMap((oid) => shared.get(oid) ?? []))
      problems.push(
        `table ${shownRelation(parent)} cannot be shared: it shows the rows of ${shownRelation(table)}, which is below it`,
      )
  return {
    protected: candidates.filter(({ table }) => !isBlocked(table)),
    blocked: candidates.map(({ table }) => table).filter(isBlocked),
    shared: [...shared.values()],
    problems,
  }
}

/** A child has its parent's columns; it may be asked directly, and then only its own policies hold. */
function takeChildren(
  tables: readonly RelationFacts[],
  chosen: ReadonlyMap<string, ColumnFacts>,
  take: (table: RelationFacts, column: string) => void,
): void {
  for (let before = -1; before < chosen.size;) {
    before = chosen.size
    for (const table of tables) {
      const parent = table.parents.find((oid) => chosen.has(oid))
      const column = parent === undefined ? undefined : chosen.get(parent)
      if (column !== undefined && !chosen.has(table.oid)) take(table, column.name)
    }
    if (chosen.size === before) return
  }
}

/**
 * Restrictive policies that did not hold for everybody so far would do so once row security is on and forced: where
 * it was off, for all; where it was not forced, for the owner. No policy of ours can take that back, so other
 * programs would lose rows.
 */
function isBlocked({ rowSecurity, forced, policies, note }: RelationFacts): boolean {
  if (note?.kind === 'tenant') return false
  const held = rowSecurity && forced
  return !held && policies.some(({ permissive }) => !permissive)
}
