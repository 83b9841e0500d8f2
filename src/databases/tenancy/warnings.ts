import type { Chosen } from './choose-relations.ts'
import type { ViewChoice } from './choose-views.ts'
import type { PlanWarning, WarningCode } from './plan.ts'
import { spellingOf } from './policies.ts'
import type { ProtectionFacts, RelationFacts } from './protection-facts.ts'
import { shownRelation } from './quote-relation.ts'

interface Planned {
  readonly chosen: Chosen
  readonly views: readonly ViewChoice[]
  readonly schemas: readonly string[]
  readonly tenants: readonly string[]
}

/** What the plan cannot do, or does beside what it is for. The gravest first: ways around the protection. */
export function protectionWarnings(facts: ProtectionFacts, planned: Planned): readonly PlanWarning[] {
  const { chosen, views, schemas, tenants } = planned
  const tables = chosen.protected
  const known = new Set([...tables.map(({ table }) => table.oid), ...chosen.shared.map(({ oid }) => oid)])
  const shared = new Set(chosen.shared.map(({ oid }) => oid))
  const granted = new Set(views.filter(({ grant }) => grant !== 'no').map(({ view }) => view.oid))
  const rest = facts.relations.filter(({ oid }) => !known.has(oid) && !granted.has(oid))
  const inSchemas = ({ schema }: RelationFacts): boolean => schemas.includes(schema)
  const open = new Set(rest.filter(({ publicMay }) => publicMay.length > 0).map(({ oid }) => oid))
  const quiet = rest.filter((relation) => inSchemas(relation) && !open.has(relation.oid))
  const names = (relations: readonly RelationFacts[]): string[] => relations.map(shownRelation)

  return [
    ...about(
      'public_access',
      'PUBLIC may use these, and so may every tenant, with the rows of all. Postern does not serve the database like that: ' +
        'REVOKE ALL ON them FROM PUBLIC, or name with --shared what all tenants may see',
      names(rest.filter(({ oid }) => open.has(oid))),
    ),
    ...about(
      'public_access',
      'these are shared for reading, and PUBLIC may change them, and so may every tenant, for all. Postern does not serve the database ' +
        'like that: REVOKE INSERT, UPDATE, DELETE ON them FROM PUBLIC',
      names(
        chosen.shared.filter(({ publicMay }) =>
          ['INSERT', 'UPDATE', 'DELETE'].some((right) => publicMay.includes(right)),
        ),
      ),
    ),
    ...about(
      'schema_create',
      'PUBLIC may make objects in these schemas, and so may every tenant: a function there can be called by others in place of the one that ' +
        'they mean. REVOKE CREATE ON SCHEMA … FROM PUBLIC',
      facts.schemas.filter(({ publicMay }) => publicMay.includes('CREATE')).map(({ name }) => name),
    ),
    ...about(
      'definer_function',
      'these functions run with the rights of an owner that bypasses row security, and tenants may call them: make sure that they show ' +
        'no rows of others, or REVOKE EXECUTE ON FUNCTION … FROM PUBLIC',
      facts.definers.filter(({ ownerBypasses }) => ownerBypasses).map(shownFunction),
    ),
    ...about(
      'definer_function',
      'these functions run with the rights of their owner. Protected tables show a tenant its own rows in them; everything else they show as ' +
        'the owner sees it',
      facts.definers.filter(({ ownerBypasses }) => !ownerBypasses).map(shownFunction),
    ),
    ...about(
      'own_policies',
      'these have restrictive policies that do not hold for everybody now, and would do so with row security switched on and forced. They ' +
        'are left as they are, and no tenant can read them: ALTER TABLE … ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY if that is meant',
      names(chosen.blocked),
    ),
    ...views.flatMap((choice) =>
      choice.grant === 'no' && !open.has(choice.view.oid)
        ? about('view_left_out', `tenants cannot read this view: ${choice.why}`, [shownRelation(choice.view)])
        : [],
    ),
    ...about(
      'never_granted',
      'materialized views and foreign tables cannot have row security, so tenants cannot read them. A view WITH (security_barrier) can show ' +
        'each tenant its part: name it with --shared',
      names(quiet.filter(({ kind }) => kind === 'materialized view' || kind === 'foreign table')),
    ),
    ...about(
      'no_column',
      'these have no column with the tenant, so tenants cannot read them: name with --shared what all may see, with --key-column what ' +
        'has the tenant in another column',
      names(
        quiet.filter(({ kind, oid }) => kind === 'table' && !chosen.blocked.some((each) => each.oid === oid)),
      ),
    ),
    ...tables.flatMap(({ table, column }) => {
      const spelling = spellingOf(column.type)
      const strangers = tenants.filter((tenant) => spelling?.test(tenant) === false)
      return strangers.length === 0
        ? []
        : about(
            'tenant_value',
            `${shownRelation(table)} keeps the tenant as ${column.type}: tenants whose id is no such value see none of its rows`,
            strangers,
          )
    }),
    ...about(
      'owner_copy',
      'their owner is held to row security from now on. It sees all rows as before, but COPY … FROM into them and pg_dump as that role ' +
        'refuse: use INSERT, and pg_dump as a superuser or with --enable-row-security',
      names(tables.map(({ table }) => table).filter((each) => !each.ownerBypasses && !each.rowSecurity)),
    ),
    ...about(
      'foreign_key',
      'these foreign keys do not hold the tenant: a tenant can point at a row of another by guessing its key, learns so that it is there, and ' +
        'can keep it from being deleted. Include the column with the tenant in the key',
      tables.flatMap(({ table, column }) =>
        table.foreignKeys
          .filter(
            ({ target, columns }) =>
              known.has(target) && !shared.has(target) && !columns.includes(column.name),
          )
          .map(({ name }) => `${shownRelation(table)}: ${name}`),
      ),
    ),
    ...about(
      'unique_key',
      'these keys do not hold the tenant: a tenant that inserts a value learns whether another one has it, and can take the numbers that others ' +
        'would be given next, so that their rows are refused. Include the column with the tenant, or use values that cannot be guessed',
      tables
        .filter(({ table }) => !table.partition)
        .flatMap(({ table, column }) =>
          table.uniqueKeys
            .filter(({ columns }) => !columns.includes(column.name))
            .map(({ name }) => `${shownRelation(table)}: ${name}`),
        ),
    ),
  ]
}

const shownFunction = (fn: ProtectionFacts['definers'][number]): string =>
  `${shownRelation(fn)}(${fn.arguments}), owner ${fn.owner}`

const about = (code: WarningCode, message: string, names: readonly string[]): readonly PlanWarning[] =>
  names.length === 0 ? [] : [{ code, message, about: names }]
