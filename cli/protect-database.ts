import { join } from 'node:path'
import type { Client } from 'pg'
import type { Settings } from '../src/config/settings.ts'
import { withAdminClient } from '../src/databases/tenancy/admin-client.ts'
import type { Choice } from '../src/databases/tenancy/choose-relations.ts'
import type { PlanProblems, ProtectionPlan } from '../src/databases/tenancy/plan.ts'
import { planProtection } from '../src/databases/tenancy/protect.ts'
import { readProtectionFacts } from '../src/databases/tenancy/read-facts.ts'
import { runPlan } from '../src/databases/tenancy/run-plan.ts'
import { planScript } from '../src/databases/tenancy/script.ts'
import { tenantKey } from '../src/databases/tenancy/tenant-key.ts'
import { tenantRoles } from '../src/databases/tenancy/tenant-roles.ts'
import { planUndo } from '../src/databases/tenancy/undo.ts'
import { err, ok, type Result } from '../src/lib/result.ts'
import type { Store } from '../src/store/open.ts'
import { listTenants } from '../src/store/tenants.ts'
import { openKey } from '../src/upstreams/credentials/open-key.ts'
import { accountName } from './account-name.ts'
import { ADMIN_URL, adminLogin } from './admin-login.ts'
import { createAsker, type NoAnswer } from './ask.ts'
import type { CliCode } from './codes.ts'
import type { ExitCode, Invocation } from './command.ts'
import { printable } from './text.ts'
import type { AuditDesk } from './with-audit.ts'

export interface ProtectRequest extends Choice {
  readonly undo: boolean
  readonly apply: boolean
  /** Ask before anything is run. */
  readonly asked: boolean
}

type Database = Settings['databases'][number]

/** Plans, prints, asks, runs and records, in this order; what was not asked for is left out. */
export async function protectDatabase(
  invocation: Invocation,
  desk: AuditDesk,
  database: Database,
  request: ProtectRequest,
): Promise<ExitCode> {
  const login = adminLogin(database, invocation.env[ADMIN_URL])
  if (!login.ok) return invocation.fail({ code: 'admin_needed' satisfies CliCode, message: login.error })
  return await withAdminClient(login.value, async (client) => {
    const plan = await makePlan(desk, database, request, client)
    const { name } = database
    if (!plan.ok) {
      return invocation.fail({
        code: 'not_protectable' satisfies CliCode,
        message: `nothing was changed in database "${name}", which is not as it has to be for this`,
        details: { problems: plan.error },
        more: plan.error,
      })
    }
    const { statements, warnings } = plan.value
    const script = planScript(
      statements,
      `${request.undo ? 'Takes back the protection of' : 'Protects'} database ${login.value.database} (postern database protect)`,
    )
    const answer = (applied: boolean): void => {
      invocation.answer({ database: name, applied, statements, warnings }, script)
    }
    // What will be run is read before the question, and there is one JSON document only.
    if (!invocation.json) answer(false)
    for (const { message, about } of warnings) {
      invocation.note(`${invocation.noteStyle.bold('warning')}: ${message}.`)
      for (const each of about) invocation.note(`  ${printable(each)}`)
    }
    if (!request.apply) {
      if (invocation.json) answer(false)
      else invocation.note('Nothing was changed: --apply runs the statements, and so does psql.')
      return 0
    }
    if (request.asked) {
      const agreed = await ask(invocation, statements.length, name)
      if (!agreed.ok) return invocation.fail(agreed.error)
    }
    return await apply(
      invocation,
      desk,
      { name, request, plan: plan.value, client, configured: database.tenancy !== null },
      answer,
    )
  })
}

async function makePlan(
  { settings, store, observe }: AuditDesk,
  { tenancy }: Database,
  request: ProtectRequest,
  client: Client,
): Promise<Result<ProtectionPlan, PlanProblems>> {
  const prefix = tenancy?.rolePrefix ?? 'postern'
  const key = tenantKey(await openKey(join(settings.dataDir, 'secret.key'), store, observe))
  const roles = tenantRoles(key, prefix)
  const tenants = await allTenants(store)
  const facts = await readProtectionFacts(client, {
    prefix,
    columns: [request.column, ...request.keyColumns.map(([, column]) => column)],
    roles: tenants.flatMap((tenant) => [roles.of(tenant, 'read').name, roles.of(tenant, 'write').name]),
  })
  if (request.undo) return planUndo(facts, { prefix, roles })
  const provisioner = tenancy?.provisioner?.user ?? null
  return planProtection(facts, { ...request, prefix, roles, tenants, provisioner })
}

const PAGE = 500

async function allTenants(store: Store): Promise<readonly string[]> {
  const ids: string[] = []
  for (;;) {
    const page = await listTenants(store.db, ids.at(-1) ?? '', PAGE)
    ids.push(...page.map(({ id }) => id))
    if (page.length < PAGE) return ids
  }
}

async function ask(invocation: Invocation, count: number, name: string): Promise<Result<null, NoAnswer>> {
  const asker = createAsker(invocation)
  try {
    const answer = await asker.ask({
      text: `Run these ${count} statements in database "${name}"? yes or no`,
      standard: 'no',
      read: (line) =>
        /^(y|yes)$/i.test(line) ? ok(true) : /^(n|no)?$/i.test(line) ? ok(false) : err('say yes or no'),
    })
    if (!answer.ok) return answer
    return answer.value ? ok(null) : err({ code: 'cancelled', message: 'nothing was changed' })
  } finally {
    asker.close()
  }
}

async function apply(
  invocation: Invocation,
  { audit }: AuditDesk,
  {
    name,
    request,
    plan,
    client,
    configured,
  }: {
    readonly name: string
    readonly request: ProtectRequest
    readonly plan: ProtectionPlan
    readonly client: Client
    /** The configuration says that it is protected. */
    readonly configured: boolean
  },
  answer: (applied: boolean) => void,
): Promise<ExitCode> {
  const ran = await runPlan(client, plan.statements)
  audit.record({
    kind: 'administration',
    outcome: ran.ok ? 'done' : 'failed',
    at: invocation.clock.now(),
    principal: `local:${accountName()}`,
    wire: 'cli',
    action: request.undo ? 'database.unprotect' : 'database.protect',
    target: name,
  })
  if (!ran.ok) {
    const { message, sqlstate, statement } = ran.error
    return invocation.fail({
      code: 'sql_failed',
      message: `PostgreSQL refused a statement, and nothing was changed: ${message}`,
      details: { sqlstate, statement },
      more: [`It was: ${statement.why}`, ...(sqlstate === null ? [] : [`SQLSTATE ${sqlstate}`])],
    })
  }
  if (invocation.json) answer(true)
  else invocation.note(done(name, request.undo, configured))
  return 0
}

/** What was done, and what the configuration still has to say: only then does Postern log in as the roles of tenants. */
function done(name: string, undone: boolean, configured: boolean): string {
  if (undone) {
    const next = configured ? ' Take "tenancy" of it out of the configuration and restart Postern.' : ''
    return `Database "${name}" is as it was.${next}`
  }
  const next = configured ? '' : ' Write "tenancy: {}" below it in the configuration and restart Postern.'
  return `Database "${name}" is protected.${next}`
}
