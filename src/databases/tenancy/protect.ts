import { escapeIdentifier, escapeLiteral } from 'pg'
import { err, ok, type Result } from '../../lib/result.ts'
import { type Choice, type Chosen, type ChosenTable, chooseRelations } from './choose-relations.ts'
import { chooseViews, type ViewChoice } from './choose-views.ts'
import { grantStatements } from './grants.ts'
import { ownSchema } from './own-schema.ts'
import type { PlannedStatement, PlanProblems, ProtectionPlan } from './plan.ts'
import { isOwnRow, isTenantSession, policyNames } from './policies.ts'
import type { ProtectionFacts, RelationFacts } from './protection-facts.ts'
import { quoteRelation, shownRelation } from './quote-relation.ts'
import { makeTenantSql, provisionerSql } from './tenant-sql.ts'
import type { TenantRoles } from './tenant-roles.ts'
import { protectionWarnings } from './warnings.ts'

export interface ProtectOptions extends Choice {
  readonly prefix: string
  readonly roles: TenantRoles
  /** Ids of the tenants to make roles for. */
  readonly tenants: readonly string[]
  /** The role that will make roles for tenants that come later. */
  readonly provisioner: string | null
}

/** Row security of a kind that this can use: restrictive policies came with 10, the rest is tested from 14 on. */
const OLDEST_VERSION = 120_000

/**
 * Plans how the tables of a database come to show each tenant its own rows only. Run again, the plan changes nothing
 * but what is new: tables, tenants, and what somebody has taken away.
 *
 * @returns the problems where there is no plan: nothing should be run then
 */
export function planProtection(
  facts: ProtectionFacts,
  options: ProtectOptions,
): Result<ProtectionPlan, PlanProblems> {
  const { prefix, roles } = options
  const chosen = chooseRelations(facts, options)
  const problems = [...obstacles(facts, options, chosen), ...chosen.problems]
  if (problems.length > 0) return err(problems)

  const views = chooseViews(facts, chosen, options.schemas)
  const context = { roles, prefix, version: Math.floor(facts.version / 10_000) }
  const statements: PlannedStatement[] = [
    ...ownSchema(facts, prefix),
    ...groups(facts, roles),
    ...unruly(facts, roles, options.tenants),
    ...options.tenants.flatMap((tenant) =>
      makeTenantSql(context, tenant).map((sql) => ({ sql, why: `the roles of tenant ${tenant}` })),
    ),
    ...(options.provisioner === null
      ? []
      : provisionerSql(context, options.provisioner).map((sql) => ({
          sql,
          why: 'roles of tenants that come later can be made without an administrator',
        }))),
    ...chosen.protected.flatMap((each) => protectTable(each, prefix, roles)),
    ...chosen.shared.flatMap((relation) => noteShared(relation, prefix)),
    ...views.flatMap((choice) => switchView(choice, prefix)),
    ...grantStatements(facts, { chosen, views, roles }),
  ]
  return ok({ statements, warnings: protectionWarnings(facts, { ...options, chosen, views }) })
}

/** What must not be touched, or cannot be: nothing is planned around it. */
function obstacles(facts: ProtectionFacts, options: ProtectOptions, chosen: Chosen): readonly string[] {
  const { prefix, roles, schemas } = options
  const names = Object.values(policyNames(prefix))
  const { readers, writers } = roles.groups
  return [
    ...(facts.version < OLDEST_VERSION
      ? ['this PostgreSQL is older than version 12, which is the oldest that can be protected']
      : []),
    ...(facts.ownSchema === 'foreign'
      ? [`there is a schema "${prefix}" that is not Postern's: choose another tenancy.rolePrefix`]
      : []),
    ...schemas
      .filter((name) => !facts.schemas.some((schema) => schema.name === name))
      .map((name) => `there is no schema "${name}"`),
    ...facts.roles
      .filter(({ powers, name, login }) => powers.length > 0 || (login && [readers, writers].includes(name)))
      .map(({ name, powers }) =>
        powers.length > 0
          ? `role ${name} is ${powers.join(', ')}: take that from it, or choose another tenancy.rolePrefix`
          : `role ${name} may log in: it is not Postern's, choose another tenancy.rolePrefix`,
      ),
    ...facts.roles.flatMap(({ name, memberOf }) =>
      memberOf
        .filter((group) => ![readers, writers].includes(group) || [readers, writers].includes(name))
        .map((group) => `role ${name} is a member of ${group}: REVOKE ${group} FROM ${name}`),
    ),
    ...chosen.protected
      .filter(({ table }) => table.note === null && table.policies.some(({ name }) => names.includes(name)))
      .map(
        ({ table }) => `table ${shownRelation(table)} has a policy of another Postern, or one named like it`,
      ),
  ]
}

const groups = (facts: ProtectionFacts, { groups: { readers, writers } }: TenantRoles): PlannedStatement[] =>
  [readers, writers]
    .filter((name) => !facts.roles.some((role) => role.name === name))
    .map((name) => ({
      sql: `CREATE ROLE ${escapeIdentifier(name)} NOLOGIN`,
      why: 'what tenants may do is granted to this role, which nobody can log in as',
    }))

/** Whoever logs in as a role may leave settings for its next login, and no right can be taken away for that. */
function unruly(facts: ProtectionFacts, roles: TenantRoles, tenants: readonly string[]): PlannedStatement[] {
  const ours = new Set(
    tenants.flatMap((tenant) => [roles.of(tenant, 'read').name, roles.of(tenant, 'write').name]),
  )
  return facts.roles
    .filter(({ name, settings }) => settings && ours.has(name))
    .flatMap(({ name }) =>
      ['RESET ALL', `IN DATABASE ${escapeIdentifier(facts.database)} RESET ALL`].map((what) => ({
        sql: `ALTER ROLE ${escapeIdentifier(name)} ${what}`,
        why: 'settings that somebody has left for the next login of this tenant',
      })),
    )
}

function protectTable(
  { table, column }: ChosenTable,
  prefix: string,
  { groups: { readers, writers } }: TenantRoles,
): PlannedStatement[] {
  const relation = quoteRelation(table)
  const shown = shownRelation(table)
  const names = policyNames(prefix)
  const own = isOwnRow(column, prefix)
  const members = `${escapeIdentifier(readers)}, ${escapeIdentifier(writers)}`
  const before = table.note ?? table
  const rules = [
    {
      name: names.session,
      kind: 'RESTRICTIVE',
      to: 'PUBLIC',
      rule: `CASE WHEN ${isTenantSession(prefix)} THEN ${own} ELSE true END`,
      why: `${shown}: whatever role a tenant's session acts as, also in views and functions, it sees and writes its own rows`,
    },
    {
      name: names.tenant,
      kind: 'RESTRICTIVE',
      to: members,
      rule: own,
      why: `${shown}: the same in a form that can use an index`,
    },
    {
      name: names.open,
      kind: 'PERMISSIVE',
      to: before.rowSecurity ? openTo(table, members) : 'PUBLIC',
      rule: 'true',
      why: before.rowSecurity
        ? `${shown}: its own policies go on for the roles that they were made for`
        : `${shown}: nothing changes for everybody else`,
    },
  ]
  return [
    {
      sql: note(table, prefix, {
        kind: 'tenant',
        column: column.name,
        rowSecurity: before.rowSecurity,
        forced: before.forced,
      }),
      why: `${shown}: how it was before`,
    },
    ...rules.flatMap(({ name, kind, to, rule, why }) => [
      ...(table.policies.some((policy) => policy.name === name)
        ? [{ sql: `DROP POLICY ${escapeIdentifier(name)} ON ${relation}`, why: `${shown}: made anew` }]
        : []),
      {
        sql: `CREATE POLICY ${escapeIdentifier(name)} ON ${relation} AS ${kind} FOR ALL TO ${to}\n  USING (${rule})\n  WITH CHECK (${rule})`,
        why,
      },
    ]),
    {
      sql: `ALTER TABLE ${relation} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY`,
      why: `${shown}: the policies hold, for the owner too`,
    },
  ]
}

/** Row security that was not forced did not hold for the owner, and still does not, but for tenants. */
function openTo(table: RelationFacts, members: string): string {
  const { forced } = table.note ?? table
  return forced || table.ownerBypasses ? members : `${members}, ${escapeIdentifier(table.owner)}`
}

const noteShared = (relation: RelationFacts, prefix: string): PlannedStatement[] =>
  relation.note === null
    ? [
        {
          sql: note(relation, prefix, { ...relation, kind: 'shared', column: null }),
          why: `${shownRelation(relation)}: shared by all tenants, as you said`,
        },
      ]
    : []

function switchView(choice: ViewChoice, prefix: string): PlannedStatement[] {
  const { view, grant } = choice
  if (grant !== 'switched') return []
  const shown = shownRelation(view)
  return [
    {
      sql: note(view, prefix, { ...view, kind: 'view', column: null }),
      why: `${shown}: how it was before`,
    },
    {
      sql: `ALTER VIEW ${quoteRelation(view)} SET (security_invoker = true)`,
      why: `${shown}: reads with the rights of whoever asks, so that row security holds`,
    },
  ]
}

/** The first note counts, what it says was before Postern; but the column is the one that holds from now on. */
function note(
  relation: RelationFacts,
  prefix: string,
  { kind, column, rowSecurity, forced }: Omit<NonNullable<RelationFacts['note']>, 'invoker'>,
): string {
  const text = (value: string | null): string => (value === null ? 'NULL' : escapeLiteral(value))
  const values = [
    `${escapeLiteral(quoteRelation(relation))}::regclass`,
    text(kind),
    text(column),
    String(rowSecurity),
    String(forced),
    text(relation.invoker),
  ]
  return (
    `INSERT INTO ${escapeIdentifier(prefix)}.protected_relations (relation, kind, column_name, row_security, forced, security_invoker)\n` +
    `  VALUES (${values.join(', ')}) ON CONFLICT (relation) DO ${kind === 'tenant' ? 'UPDATE SET column_name = excluded.column_name' : 'NOTHING'}`
  )
}
