import type { Refusal } from '../access/refusal.ts'
import { stoppedBy } from '../access/stop-refusal.ts'
import { FIRST_TENANT } from '../identity/first-tenant.ts'
import { Fault } from '../lib/fault.ts'
import { err, ok, type Result } from '../lib/result.ts'
import { Availability } from './availability.ts'
import type { CatalogueRow } from './catalogue-row.ts'
import { checkJudged, checkStatement } from './check-statement.ts'
import type { Connection, ConnectionKind } from './connection.ts'
import type { Rows, Statement, StreamedRows, StreamedStatement } from './database.ts'
import { type GateCatalogue, loadGateCatalogue } from './gate/catalogue.ts'
import type { Gate, Judged } from './gate/judge.ts'
import { type AnsweredRows, endedRefusal, judgeAnswer } from './judge-answer.ts'
import { KnownCatalogue } from './known-catalogue.ts'
import { configuredLogins } from './logins.ts'
import { opener } from './opener.ts'
import type { DatabaseContext, DatabaseOptions } from './options.ts'
import { planStatement } from './plan.ts'
import { Pools } from './pools.ts'
import { auditRole, roleAuditSql } from './role-audit.ts'
import { CATALOGUE_TIMEOUT_MS, CatalogueReader } from './catalogue-reader.ts'
import { runExchange } from './run-exchange.ts'
import type { DatabaseStatus } from './status.ts'
import { takeSession } from './take-session.ts'
import { checkProtection } from './tenancy/check-protection.ts'
import { openTenancy, type Tenancy, type TenantView } from './tenancy/tenancy.ts'
import { tenantOpener } from './tenancy/tenant-opener.ts'
import { TypeNames } from './type-names.ts'
import { toParameter } from './values.ts'
import { type Interrupted, isInterrupted } from './waiter.ts'

/** How much longer than the statement timeout the server may take to say that it has passed. */
const GRACE_MS = 2_000
const CATALOGUE_CONNECTIONS = 2
/** How long callers are answered at once after tenants were found not to be kept apart. */
const REFUSED_MS = 1_000
/** How often a database that is away is looked for without a call that needs it. */
const PROBE_MS = 2_000

const OTHER_PATH = 'names are looked for in other schemas than when it was opened'

/**
 * Statements that leave the catalogue as it is; after any other write, it is read again. A tenant can make nothing that
 * another session would find, so that in a protected database nobody waits for the catalogue because of what one did.
 */
const KEEPS_CATALOGUE = new Set([
  'SelectStmt',
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
  'ExplainStmt',
  'VariableSetStmt',
  'VariableShowStmt',
  'PrepareStmt',
  'ExecuteStmt',
  'DeclareCursorStmt',
  'ClosePortalStmt',
  'DeallocateStmt',
  'FetchStmt',
])

/** One database: its availability, its pools, what is known of its catalogue, and the guarded way into it. */
export class ServedDatabase {
  readonly #options: DatabaseOptions
  readonly #context: DatabaseContext
  readonly #gate: Gate
  readonly #availability: Availability
  readonly #pools: Pools
  /** Postern's own connections, for the catalogue; callers' text never runs there. */
  readonly #own: Pools
  readonly #reader: CatalogueReader
  readonly #catalogue: KnownCatalogue
  readonly #typeNames: TypeNames
  readonly #cancels = new Set<Promise<void>>()
  /** `null` where tenants are not kept apart. */
  readonly #tenancy: Tenancy | null
  /** Whether tenants were kept apart when it was last looked; until then nothing of theirs runs. */
  #keptApart = false
  #refusedAt = -Infinity
  #searchPath: readonly string[] = []
  #warming: Promise<GateCatalogue> | null = null
  #probing = false
  #closed = false
  #powers = ''

  constructor(options: DatabaseOptions, gate: Gate, context: DatabaseContext) {
    this.#options = options
    this.#gate = gate
    this.#context = context
    const { clock, observe, lifelines, limits } = context
    const { name: database } = options
    this.#availability = new Availability({ database, role: options.user, clock, observe })
    this.#tenancy = openTenancy(options, context, (cancel) => {
      this.#track(cancel)
    })
    const opened = {
      options,
      loginFor: configuredLogins(options),
      sessionIdleMs: limits.sessionIdleMs,
      availability: this.#availability,
      clock,
      track: (cancel: Promise<void>) => {
        this.#track(cancel)
      },
      onReached: () => {
        if (this.#availability.state !== 'up') this.#lookAgain()
      },
    }
    const shared = {
      database,
      idleTimeoutMs: options.idleTimeoutMs,
      acquireTimeoutMs: options.acquireTimeoutMs,
      sessionIdleMs: limits.sessionIdleMs,
      shared: this.#tenancy !== null,
      onLost: () => {
        this.#lookAgain()
      },
      clock,
      observe,
    }
    this.#pools = new Pools({
      ...shared,
      maxConnections: options.maxConnections,
      maxConnectionsPerCredential: options.maxConnectionsPerCredential,
      open:
        this.#tenancy === null
          ? opener(opened)
          : tenantOpener({ ...opened, ...this.#tenancy, searchPath: () => this.#searchPath }),
      lifelines,
    })
    const patient = Math.max(options.statementTimeoutMs, CATALOGUE_TIMEOUT_MS)
    this.#own = new Pools({
      ...shared,
      acquireTimeoutMs: patient,
      maxConnections: CATALOGUE_CONNECTIONS,
      maxConnectionsPerCredential: CATALOGUE_CONNECTIONS,
      open: opener({ ...opened, options: { ...options, statementTimeoutMs: patient } }),
      lifelines: { hold: () => () => undefined },
    })
    this.#reader = new CatalogueReader(database, this.#own, clock, patient + GRACE_MS)
    this.#catalogue = new KnownCatalogue(
      (previous) => this.#loadCatalogue(previous),
      clock,
      this.#tenancy !== null,
    )
    this.#typeNames = new TypeNames((sql, params) => this.catalogueQuery(sql, params))
  }

  /** `null` where tenants are not kept apart. */
  get tenantView(): TenantView | null {
    return this.#tenancy && { ...this.#tenancy.roles.groups, schema: this.#tenancy.prefix }
  }

  /** Connects in the background; a database that is away does not keep Postern from starting. */
  start(): void {
    this.#lookAgain()
  }

  status(): DatabaseStatus {
    const { name, user } = this.#options
    const { state, version, message } = this.#availability
    const connections = this.#pools.connections + this.#own.connections
    const { busy, waiting } = this.#pools
    return { name, state, version, role: user, message, connections, busy, waiting }
  }

  async run(statement: Statement): Promise<Result<Rows, Refusal>> {
    const answer = await this.#perform(statement, null)
    if (!answer.ok) return answer
    const { answered, facts } = answer.value
    return ok({ ...facts, rows: answered.rows })
  }

  async stream(statement: StreamedStatement): Promise<Result<StreamedRows, Refusal>> {
    const answer = await this.#perform(statement, statement)
    if (!answer.ok) return answer
    const { answered, facts } = answer.value
    return ok({ ...facts, rowCount: answered.rowCount })
  }

  async #perform(
    statement: Statement,
    streamed: StreamedStatement | null,
  ): Promise<Result<Performed, Refusal>> {
    const wrong = checkStatement(statement)
    if (wrong !== null) return err(wrong)
    try {
      const judged = await this.#judge(statement)
      if (!judged.ok) return judged
      const objection = checkJudged(judged.value, statement)
      if (objection !== null) return err(objection)
      const taken = await this.#take(statement, judged.value)
      if (!taken.ok) return taken
      if (isInterrupted(taken.value)) return err(endedRefusal(taken.value.interrupted))
      return await this.#execute(statement, streamed, judged.value, taken.value)
    } catch (fault) {
      throw this.#explain(fault, statement)
    }
  }

  catalogueQuery(sql: string, params?: readonly unknown[]): Promise<CatalogueRow[]> {
    return this.#reader.query(sql, params)
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([this.#pools.close(), this.#own.close()])
    await Promise.all(this.#cancels)
  }

  #track(cancel: Promise<void>): void {
    this.#cancels.add(cancel)
    void cancel.then(() => this.#cancels.delete(cancel))
  }

  /**
   * In a protected database nothing is judged by a catalogue that was not looked over for what a tenant could reach
   * past its row security. What is wrong there is wrong for all: the database is not served until it is mended.
   */
  async #loadCatalogue(previous: GateCatalogue | undefined): Promise<GateCatalogue> {
    const query = (sql: string): Promise<CatalogueRow[]> => this.catalogueQuery(sql)
    const tenancy = this.#tenancy
    if (tenancy === null) return loadGateCatalogue(query, previous)
    const { name } = this.#options
    const problem = await checkProtection(
      (sql, params) => this.catalogueQuery(sql, params),
      tenancy.prefix,
      name,
    )
    this.#keptApart = problem === null
    if (problem !== null) {
      this.#refusedAt = this.#context.clock.now()
      this.#probeLater()
      throw this.#availability.refuse('read', problem)
    }
    const catalogue = await loadGateCatalogue(query, previous, this.tenantView)
    this.#searchPath = catalogue.searchPath
    return catalogue
  }

  #judge({ sql, caller }: Statement): Promise<Result<Judged, Refusal>> | Result<Judged, Refusal> {
    const options = caller.grant.level === 'read-only' ? {} : { writes: true }
    const judge = (catalogue: GateCatalogue): Result<Judged, Refusal> =>
      this.#gate.judge(sql, catalogue, options)
    const known = this.#catalogue.get()
    if (known === undefined) return this.#warm().then(judge)
    const judged = judge(known)
    if (!mayBeOutdated(judged)) return judged
    return this.#catalogue.newer().then((newer) => {
      return newer === undefined || newer === known ? judged : judge(newer)
    })
  }

  async #take(
    { caller, session, signal }: Statement,
    { access }: Judged,
  ): Promise<Result<Connection | Interrupted, Refusal>> {
    if (signal.aborted) return ok({ interrupted: stoppedBy(signal) })
    // Found out while the statement was judged.
    if (this.#tenancy !== null && !this.#keptApart) throw this.#availability.fault()
    const owner = { credentialId: caller.credential.id, tenant: caller.grant.tenant }
    if (session === undefined) {
      const kind = access === 'read' ? 'read' : 'write'
      for (;;) {
        const connection = await this.#pools.acquire(owner, kind, signal)
        if (isInterrupted(connection) || this.#looksWhereJudged(connection)) return ok(connection)
        connection.discard(OTHER_PATH)
      }
    }
    const kind: ConnectionKind = caller.grant.level === 'admin' ? 'write' : 'read'
    const taken = await takeSession(this.#pools, owner, session, kind, signal, {
      database: this.#options.name,
      sessionsPerCredential: this.#context.limits.sessionsPerCredential,
      acquireTimeoutMs: this.#options.acquireTimeoutMs,
      clock: this.#context.clock,
    })
    if (!taken.ok || isInterrupted(taken.value) || this.#looksWhereJudged(taken.value)) return taken
    taken.value.discard(OTHER_PATH)
    return err(endedRefusal('session'))
  }

  /** Whether PostgreSQL finds on this connection what the gate has found by the same names. */
  #looksWhereJudged({ searchPath }: Connection): boolean {
    if (searchPath === null || searchPath === this.#searchPath) return true
    return (
      searchPath.length === this.#searchPath.length &&
      searchPath.every((name, at) => name === this.#searchPath[at])
    )
  }

  async #execute(
    statement: Statement,
    streamed: StreamedStatement | null,
    judged: Judged,
    connection: Connection,
  ): Promise<Result<Performed, Refusal>> {
    const { signal, session, params = [], caller } = statement
    if (connection.tenant !== caller.grant.tenant) {
      // Cannot be: its pool is the tenant's. A mistake there must not show anybody somebody else's rows.
      connection.discard('it is of another tenant than the statement')
      throw new Fault('internal', 'a connection of another tenant was handed out')
    }
    if (signal.aborted) {
      connection.giveBack()
      return err(endedRefusal(stoppedBy(signal)))
    }
    const { limits, clock } = this.#context
    const { statementTimeoutMs, name, user } = this.#options
    const plan = planStatement(judged, {
      kind: connection.kind,
      session: session !== undefined,
      reportsReadOnly: connection.parameter('default_transaction_read_only') === 'on',
    })
    const { access } = judged
    const bounds = boundsOf(statement, streamed, limits)
    // A write gets no more time than another: it holds locks for as long as its rows are read.
    const long = streamed?.bounds === 'stream' && access === 'read'
    const timeoutMs = long ? Math.max(limits.streamTimeMs, statementTimeoutMs) : statementTimeoutMs
    const startedAt = clock.now()
    const answer = await runExchange(
      connection,
      {
        ...plan,
        ...bounds,
        ...(long ? { wrapping: 'read-only', timeoutMs } : {}),
        ...(streamed === null
          ? {}
          : { into: streamed.into, columnsOf: (fields) => this.#typeNames.known(fields) }),
        mayRecode: !judged.leavesNothing,
        sql: judged.sql,
        params: params.map(toParameter),
      },
      signal,
      startedAt,
      timeoutMs + GRACE_MS,
      ...(long ? [{ clock, silenceMs: statementTimeoutMs }] : []),
    )
    const durationMs = clock.now() - startedAt
    const role = connection.parameter('session_authorization') ?? user
    const rows = judgeAnswer(answer, {
      database: name,
      role,
      access,
      statementTimeoutMs: timeoutMs,
      maxBytes: Math.min(bounds.maxBytes, bounds.maxRowBytes),
      durationMs,
      ...(long ? { silenceMs: statementTimeoutMs } : {}),
    })
    if (access === 'write' && this.#tenancy === null && !KEEPS_CATALOGUE.has(judged.statement))
      this.#catalogue.outdate()
    return rows.ok
      ? ok({ answered: rows.value, facts: await this.#facts(rows.value, access, durationMs) })
      : rows
  }

  async #facts(
    answered: AnsweredRows,
    access: Judged['access'],
    durationMs: number,
  ): Promise<Performed['facts']> {
    const { fields, truncatedBy, command } = answered
    const affected = access === 'write' ? affectedRows(command) : undefined
    return {
      columns: await this.#typeNames.columns(fields),
      truncated: truncatedBy !== null,
      ...(truncatedBy === null ? {} : { truncatedBy }),
      command,
      ...(affected === undefined ? {} : { affected }),
      durationMs,
      database: this.#options.name,
    }
  }

  /** Looks at the role and loads the catalogue; all who need it share one attempt. */
  #warm(): Promise<GateCatalogue> {
    // What was refused a moment ago is not looked over again for every call.
    if (this.#context.clock.now() - this.#refusedAt < REFUSED_MS)
      return Promise.reject(this.#availability.fault())
    this.#warming ??= this.#lookAtRole()
      .then(() => this.#catalogue.renew())
      .then((catalogue) => {
        // The connection that has seen it was there before: nothing else says that the refusal is over.
        if (this.#tenancy !== null) this.#availability.reached('read', null)
        this.#availability.up()
        return catalogue
      })
      .finally(() => {
        this.#warming = null
      })
    return this.#warming
  }

  async #lookAtRole(): Promise<void> {
    const [row = {}] = await this.catalogueQuery(roleAuditSql(this.#tenancy?.prefix ?? null))
    const audit = auditRole(row)
    const powers = audit.powers.join('; ')
    if (powers === this.#powers) return
    this.#powers = powers
    const { role } = audit
    this.#context.observe({ kind: 'database.role', database: this.#options.name, role, powers: audit.powers })
  }

  #lookAgain(): void {
    if (this.#closed) return
    this.#warm().catch((fault: unknown) => {
      if (!(fault instanceof Fault) || fault.code === 'internal') {
        this.#context.observe({ kind: 'fault', where: `database ${this.#options.name}`, error: fault })
      }
      this.#probeLater()
    })
  }

  /** Looks for a database that is away, so that its state is right without a call that finds out. */
  #probeLater(): void {
    if (this.#probing || this.#closed) return
    this.#probing = true
    this.#context.clock.after(PROBE_MS, () => {
      this.#probing = false
      this.#lookAgain()
    })
  }

  /** Tells an admin of those who run the gateway why the database is not there; others learn only that it is not. */
  #explain(fault: unknown, { caller }: Statement): unknown {
    const { message } = this.#availability
    if (!(fault instanceof Fault) || fault.code !== 'database_unavailable') return fault
    const { level, tenant } = caller.grant
    if (level !== 'admin' || tenant !== FIRST_TENANT || message === null) return fault
    return new Fault(fault.code, `${fault.message}: ${message}`, {
      ...(fault.retryAfterS === undefined ? {} : { retryAfterS: fault.retryAfterS }),
      cause: fault.cause,
    })
  }
}

/** What came of a statement: the answer as the server gave it, and what is to be said of it. */
interface Performed {
  readonly answered: AnsweredRows
  readonly facts: Omit<Rows, 'rows'>
}

function boundsOf(
  { maxRows, maxBytes }: Statement,
  streamed: StreamedStatement | null,
  limits: DatabaseContext['limits'],
): { readonly maxRows: number; readonly maxBytes: number; readonly maxRowBytes: number } {
  if (streamed?.bounds === 'stream') {
    const { streamRows, resultBytes } = limits
    return { maxRows: streamRows || Infinity, maxBytes: Infinity, maxRowBytes: resultBytes }
  }
  const bytes = Math.min(maxBytes ?? limits.resultBytes, limits.resultBytes)
  return {
    maxRows: Math.max(0, Math.min(maxRows ?? limits.rows, limits.rows)),
    maxBytes: bytes,
    maxRowBytes: bytes,
  }
}

/** Whether a newer catalogue could change the judgement: an object may have been made since. */
function mayBeOutdated(judged: Result<Judged, Refusal>): boolean {
  if (!judged.ok) return judged.error.code === 'sql_refused'
  return !judged.value.leavesNothing && judged.value.relations.some((name) => !name.includes('.'))
}

function affectedRows(command: string): number | undefined {
  const match = /^(?:INSERT 0|UPDATE|DELETE|MERGE) (\d+)$/.exec(command)
  return match === null ? undefined : Number(match[1])
}
