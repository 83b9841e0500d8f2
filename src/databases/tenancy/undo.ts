import { escapeIdentifier, escapeLiteral } from 'pg'
import { err, ok, type Result } from '../../lib/result.ts'
import type { PlannedStatement, PlanProblems, PlanWarning, ProtectionPlan } from './plan.ts'
import { policyNames } from './policies.ts'
import type { ProtectionFacts, RelationFacts, RoleFacts } from './protection-facts.ts'
import { quoteRelation, shownRelation } from './quote-relation.ts'
import type { TenantRoles } from './tenant-roles.ts'

/** Plans how everything becomes as it was before `planProtection`: policies, flags, views, grants, schema, roles. */
export function planUndo(
  facts: ProtectionFacts,
  options: { readonly prefix: string; readonly roles: TenantRoles },
): Result<ProtectionPlan, PlanProblems> {
  const { prefix, roles } = options
  if (facts.ownSchema !== 'ours')
    return err([`this database is not protected: it has no schema "${prefix}" of Postern's`])
  const schema = escapeIdentifier(prefix)
  const { readers, writers } = roles.groups
  const isGroup = ({ name }: RoleFacts): boolean => name === readers || name === writers
  // Members first. A role that is not in our table is of another installation, or somebody's own.
  const ours = [
    ...facts.roles.filter(({ name }) => facts.recorded.includes(name)),
    ...facts.roles.filter(isGroup),
  ]
  const kept = ours.filter(({ elsewhere, owns }) => elsewhere > 0 || owns > 0)
  // A group that stays would be left without members if they went.
  const groupsStay = kept.some(isGroup)
  const droppable = (role: RoleFacts): boolean => !groupsStay && !kept.includes(role)
  return ok({
    statements: [
      ...revokes(facts),
      ...facts.relations.flatMap((relation) => restore(relation, prefix)),
      { sql: `DROP FUNCTION ${schema}.tenant()`, why: 'no policy calls it any more' },
      {
        sql: `DROP TABLE ${schema}.protected_relations, ${schema}.tenant_roles`,
        why: 'everything is as it was',
      },
      { sql: `DROP SCHEMA ${schema}`, why: 'it is empty' },
      ...ours.filter(droppable).flatMap(dropRole),
    ],
    warnings: rolesLeft(ours.filter((role) => !droppable(role))),
  })
}

/** A role that anybody has granted anything cannot be dropped before that is taken back, whatever it is and whoever did it. */
function dropRole({ name, holds }: RoleFacts): readonly PlannedStatement[] {
  const role = escapeIdentifier(name)
  const statements = holds
    ? [
        `GRANT ${role} TO CURRENT_USER`,
        // What a tenant has made since this was planned is nobody's to throw away.
        `REASSIGN OWNED BY ${role} TO CURRENT_USER`,
        `DROP OWNED BY ${role}`,
        `DROP ROLE ${role}`,
      ]
    : [`DROP ROLE ${role}`]
  return statements.map((sql) => ({ sql, why: 'nobody needs the role any more' }))
}

function restore(relation: RelationFacts, prefix: string): PlannedStatement[] {
  const { note, policies, schema, name } = relation
  if (note === null || note.kind === 'shared') return []
  const quoted = quoteRelation({ schema, name })
  const shown = shownRelation(relation)
  if (note.kind === 'view') {
    return [
      {
        sql:
          note.invoker === null
            ? `ALTER VIEW ${quoted} RESET (security_invoker)`
            : `ALTER VIEW ${quoted} SET (security_invoker = ${escapeLiteral(note.invoker)})`,
        why: `${shown}: the option as it was`,
      },
    ]
  }
  const ours = Object.values(policyNames(prefix))
  return [
    {
      sql: `ALTER TABLE ${quoted} ${note.rowSecurity ? 'ENABLE' : 'DISABLE'} ROW LEVEL SECURITY, ${note.forced ? 'FORCE' : 'NO FORCE'} ROW LEVEL SECURITY`,
      why: `${shown}: row security as it was`,
    },
    ...policies
      .filter((policy) => ours.includes(policy.name))
      .map((policy) => ({
        sql: `DROP POLICY ${escapeIdentifier(policy.name)} ON ${quoted}`,
        why: `${shown}: the policy was ours`,
      })),
  ]
}

/** Whatever the groups were granted here, also by somebody else: nobody will be left who could use it. */
function revokes(facts: ProtectionFacts): PlannedStatement[] {
  const from = (groups: readonly string[]): string => groups.map((name) => escapeIdentifier(name)).join(', ')
  const why = 'tenants lose what they were granted'
  const connected = facts.connect.filter((name) => name !== 'PUBLIC')
  const sequences = facts.relations.flatMap((relation) => relation.sequences)
  return [
    ...facts.relations
      .filter(({ groups }) => groups.length > 0)
      .map((each) => ({ sql: `REVOKE ALL ON ${quoteRelation(each)} FROM ${from(each.groups)}`, why })),
    ...sequences
      .filter(({ groups }) => groups.length > 0)
      .map((each) => ({
        sql: `REVOKE ALL ON SEQUENCE ${quoteRelation(each)} FROM ${from(each.groups)}`,
        why,
      })),
    ...facts.schemas
      .filter(({ groups }) => groups.length > 0)
      .map(({ name, groups }) => ({
        sql: `REVOKE ALL ON SCHEMA ${escapeIdentifier(name)} FROM ${from(groups)}`,
        why,
      })),
    ...(connected.length > 0
      ? [{ sql: `REVOKE ALL ON DATABASE ${escapeIdentifier(facts.database)} FROM ${from(connected)}`, why }]
      : []),
  ]
}

const rolesLeft = (roles: readonly RoleFacts[]): readonly PlanWarning[] =>
  roles.length === 0
    ? []
    : [
        {
          code: 'role_kept',
          message:
            'these roles stay: another database of this server uses them, or they own something here. Undo the other protection first, or ' +
            'hand over what they own (REASSIGN OWNED BY)',
          about: roles.map(({ name }) => name),
        },
      ]
