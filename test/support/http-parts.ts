import { Lifelines } from '../../src/identity/lifelines.ts'
import type { CredentialRecord } from '../../src/upstreams/credentials/stored.ts'
import type { CredentialPlace } from '../../src/upstreams/user-credentials.ts'
import { refusal } from '../../src/access/refusal.ts'
import type { AuditEvent } from '../../src/audit/entry.ts'
import type { Databases, Statement } from '../../src/databases/database.ts'
import type { Authenticator } from '../../src/identity/authenticate.ts'
import type { Caller } from '../../src/identity/caller.ts'
import type { Grant, Level } from '../../src/identity/grant.ts'
import { noSignIn } from '../../src/identity/oidc/no-sign-in.ts'
import { noSuchToken } from '../../src/identity/no-such-token.ts'
import type { TokenRecord, Tokens } from '../../src/identity/tokens.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { userRefusal } from '../../src/identity/users/user-refusal.ts'
import { sha256Hex } from '../../src/lib/digest.ts'
import { err, ok } from '../../src/lib/result.ts'
import { Secret } from '../../src/lib/secret.ts'
import { type ControlPlaneParts, createControlPlane } from '../../src/http/control-plane.ts'
import type { Observation } from '../../src/observe/observation.ts'
import { createAllTools } from '../../src/tools/all-tools.ts'
import { createBackends } from '../../src/tools/backend/create.ts'
import { createPipeline } from '../../src/tools/pipeline.ts'
import type { Tool } from '../../src/tools/tool.ts'
import { type SdkServer, sdkUpstreams } from './sdk-upstreams.ts'

/** Values that are searched for afterwards in everything that must not hold them. */
export const TOKENS: Readonly<Record<Level, string>> = {
  'read-only': 'pst_reader-0123456789abcdef0123456789abcdef0',
  'read-write': 'pst_writer-0123456789abcdef0123456789abcdef0',
  admin: 'pst_admin-0123456789abcdef0123456789abcdef01',
}

export function callerOf(level: Level, more: Partial<Grant> & { createdAt?: number } = {}): Caller {
  const { createdAt = null, ...grant } = more
  return {
    principal: { kind: 'service', id: `${level}-owner`, name: `${level}-owner` },
    credential: { id: `tok_${level}`, kind: 'issued', name: `${level} note`, createdAt, expiresAt: null },
    grant: { tenant: 'default', level, scopes: 'all', servers: 'all', databases: 'all', ...grant },
  }
}

/** Credentials from a map: `Bearer <token>` in exactly that spelling, answered at once. */
export function mapAuthenticator(callers: ReadonlyMap<string, Caller>): Authenticator {
  return {
    authenticate(authorization) {
      if (authorization === undefined) return err({ reason: 'missing' })
      const token = /^Bearer ([A-Za-z0-9._~+/=-]+)$/.exec(authorization)?.[1]
      if (token === undefined) return err({ reason: 'malformed' })
      const caller = callers.get(token)
      return caller ? ok(caller) : err({ reason: 'unknown' })
    },
  }
}

export const levelCallers = (): Map<string, Caller> =>
  new Map((Object.keys(TOKENS) as Level[]).map((level) => [TOKENS[level], callerOf(level)]))

/** Tokens kept in memory, with the answers that the store gives. */
export function memoryTokens(clock: Clock): Tokens {
  const records: TokenRecord[] = []
  let count = 0
  const tokens: Tokens = {
    async add(input) {
      count += 1
      const value = `pst_issued-${count}`
      const record: TokenRecord = {
        id: `tok_${count}`,
        note: input.note,
        owner: input.owner ?? input.note,
        level: input.level ?? 'read-only',
        tenant: input.tenant ?? 'default',
        databases: input.databases ?? 'all',
        servers: input.servers ?? 'all',
        scopes: input.scopes ?? 'all',
        createdAt: clock.now(),
        expiresAt: input.expiresInMs === null ? null : clock.now() + (input.expiresInMs ?? 90 * 86_400_000),
        hashPrefix: sha256Hex(value).slice(0, 12),
        source: 'store',
        status: 'valid',
        lastUsedAt: null,
        rotationDue: false,
      }
      records.unshift(record)
      return await Promise.resolve(ok({ token: new Secret(value), record }))
    },
    async find(idOrHashPrefix) {
      const byId = records.filter(({ id }) => id === idOrHashPrefix)
      const prefix = idOrHashPrefix.toLowerCase()
      const byHash = records.filter(
        ({ hashPrefix, status }) =>
          status !== 'revoked' && (hashPrefix.startsWith(prefix) || prefix.startsWith(hashPrefix)),
      )
      return await Promise.resolve(byId.length > 0 ? byId : byHash)
    },
    list: async () => await Promise.resolve([...records]),
    async rotate(id) {
      const index = records.findIndex((record) => record.id === id)
      const old = records[index]
      if (!old) return err(noSuchToken(id))
      const predecessor: TokenRecord = { ...old, status: 'revoked' }
      records[index] = predecessor
      const issued = await tokens.add(old)
      return issued.ok ? ok({ ...issued.value, predecessor }) : issued
    },
    async remove(name) {
      const idOrHashPrefix = name.trim()
      const index = records.findIndex(
        (record) => record.id === idOrHashPrefix || record.hashPrefix.startsWith(idOrHashPrefix),
      )
      const old = records[index]
      if (!old) return err(noSuchToken(idOrHashPrefix))
      records[index] = { ...old, status: 'revoked' }
      return await Promise.resolve(ok({ ...old, status: 'revoked' as const }))
    },
  }
  return tokens
}

/** A database of one number: `SELECT <n>` gives it, anything that writes is refused as the gate would. */
export const numberDatabases: Databases = {
  async stream(statement) {
    const answer = await this.run(statement)
    if (!answer.ok) return answer
    const { rows, ...facts } = answer.value
    if (rows.length > 0) statement.into.begin([{ name: 'n', typeOid: 23 }], facts.columns)
    for (const [number] of rows) {
      const digits = Buffer.from(String(number))
      statement.into.row(Buffer.from([0, 1, 0, 0, 0, digits.length, ...digits]), 0)
    }
    return ok({ ...facts, rowCount: rows.length })
  },
  names: ['main', 'other'],
  reach: (grant) => grant.databases,
  resolve: (_caller, name) => ok(name ?? 'main'),
  async run({ caller, sql, database = 'main' }: Statement) {
    await Promise.resolve()
    const number = /^SELECT (\d+)$/i.exec(sql)?.[1]
    if (number === undefined && caller.grant.level !== 'admin') {
      return err(
        refusal('sql_refused', 'sql.node', 'DeleteStmt is not a read', {
          node: 'DeleteStmt',
          allowed: 'SELECT, VALUES, TABLE',
        }),
      )
    }
    return ok({
      columns: [{ name: 'n', type: 'int4' }],
      rows: number === undefined ? [] : [[Number(number)]],
      truncated: false,
      command: number === undefined ? 'DELETE 1' : 'SELECT 1',
      ...(number === undefined ? { affected: 1 } : {}),
      durationMs: 0.5,
      database,
    })
  },
}

const tool = (name: string, level: Level, scopes: readonly string[], run: Tool['parse']): Tool => ({
  rule: { name, server: 'postern', level, scopes },
  title: name,
  description: `The tool ${name}.`,
  inputSchema: { type: 'object' },
  annotations: {},
  parse: run,
})

/** Tools that show one thing each: structured and plain results, a level, a scope, a defect. */
export const plainTools: readonly Tool[] = [
  tool('echo', 'read-only', [], (args) =>
    ok({ run: async () => await Promise.resolve({ outcome: 'done', content: [], structured: { args } }) }),
  ),
  tool('greet', 'read-only', [], () =>
    ok({
      run: async () => await Promise.resolve({ outcome: 'done', content: [{ type: 'text', text: 'hello' }] }),
    }),
  ),
  tool('post', 'read-write', [], () =>
    ok({ run: async () => await Promise.resolve({ outcome: 'done', content: [] }) }),
  ),
  tool('scoped', 'read-only', ['stats:read', 'stats:write'], () =>
    ok({ run: async () => await Promise.resolve({ outcome: 'done', content: [] }) }),
  ),
  tool('broken', 'read-only', [], () =>
    ok({ run: () => Promise.reject(new TypeError('secret detail of /srv/postern')) }),
  ),
]

/** Credentials of principals without a store and without a seal: what the routes say of them is what is tested. */
function memoryCredentials(clock: Clock): ControlPlaneParts['credentials'] {
  const records = new Map<string, CredentialRecord>()
  const keyOf = (place: CredentialPlace): string => [place.tenant, place.principal, place.server].join('\n')
  return {
    get: async (place) => await Promise.resolve(records.get(keyOf(place))),
    async put(place) {
      const createdAt = records.get(keyOf(place))?.createdAt ?? clock.now()
      const record = { ...place, createdAt, updatedAt: clock.now() }
      records.set(keyOf(place), record)
      return await Promise.resolve(record)
    },
    remove: async (place) => await Promise.resolve(records.delete(keyOf(place))),
    list: async (filter) =>
      await Promise.resolve(
        [...records.values()].filter(
          ({ server, tenant }) =>
            (filter.server ?? server) === server && (filter.tenant ?? tenant) === tenant,
        ),
      ),
  }
}

const nobody = userRefusal('not_found', 'user.id', 'there is no user with that id')

/** Users of a store that has none, and takes none. */
const noPeople: ControlPlaneParts['people'] = {
  users: {
    add: async () => await Promise.resolve(err(nobody)),
    list: async () => await Promise.resolve([]),
    find: async () => await Promise.resolve(undefined),
    findByName: async () => await Promise.resolve([]),
    change: async () => await Promise.resolve(err(nobody)),
    remove: async () => await Promise.resolve(err(nobody)),
    addTenant: async () => await Promise.resolve(err(nobody)),
    removeTenant: async () => await Promise.resolve(err(nobody)),
    listTenants: async () => await Promise.resolve([]),
  },
  login: async () => await Promise.resolve(err(userRefusal('login_failed', 'login', 'wrong'))),
  changePassword: async () => await Promise.resolve(err(nobody)),
  signIn: noSignIn,
  links: {
    link: async () => await Promise.resolve(err(nobody)),
    unlink: async () => await Promise.resolve(err(nobody)),
    list: async () => await Promise.resolve([]),
  },
  logout: async () => await Promise.resolve(false),
  publicKeys: () => [],
}

const WELL_STORE = {
  kind: 'sqlite',
  reachable: true,
  latencyMs: 0.1,
  sizeBytes: 4_096,
  schemaVersion: 1,
  readOnly: false,
  problem: null,
}

/** The control plane over these small parts, and what it recorded and observed. */
export function controlParts(clock: Clock, tools = plainTools, servers: readonly SdkServer[] = []) {
  const events: AuditEvent[] = []
  const observations: Observation[] = []
  const observe = (observation: Observation): void => void observations.push(observation)
  const audit = {
    record: (event: AuditEvent): void => void events.push(event),
    room: () => undefined,
    async search(filter: { action?: string; tenant?: string; beforeSeq?: number }, limit: number) {
      const found = events
        .map((event, index) => ({ ...event, seq: index + 1, hash: sha256Hex(String(index)) }))
        .filter(({ action }) => filter.action === undefined || action === filter.action)
        .filter(({ tenant }) => filter.tenant === undefined || tenant === filter.tenant)
        .filter(({ seq }) => filter.beforeSeq === undefined || seq < filter.beforeSeq)
        .toReversed()
      const entries = found.slice(0, limit)
      const last = entries.at(-1)
      return await Promise.resolve(found.length > limit && last ? { entries, next: last.seq } : { entries })
    },
    verify: async () =>
      await Promise.resolve({
        intact: true,
        checked: events.length,
        floorSeq: 0,
        headSeq: events.length,
        headHash: '0'.repeat(64),
      }),
  }
  const tokens = memoryTokens(clock)
  const pipeline = createPipeline({ tools, audit, clock, observe })
  const upstreams = sdkUpstreams(servers)
  const serverInfo = { name: 'Postern', version: '0.0.1' }
  const backends = createBackends({
    upstreams,
    lifelines: new Lifelines(),
    own: pipeline,
    requestTimeoutMs: 30_000,
    aggregate: { delimiter: '__', listTimeoutMs: 2_000 },
    serverInfo,
    audit,
    clock,
    observe,
  })
  const parts: ControlPlaneParts = {
    pipeline,
    tools: createAllTools({ own: pipeline, backends, serverInfo, clock }),
    upstreams,
    backends,
    credentials: memoryCredentials(clock),
    tokens,
    people: noPeople,
    databases: {
      ...numberDatabases,
      status: () => [
        {
          name: 'main',
          state: 'up',
          version: '18.1',
          role: 'reader',
          message: null,
          connections: 1,
          busy: 0,
          waiting: 0,
        },
      ],
    },
    identityReady: () => true,
    health: {
      store: async () => await Promise.resolve(WELL_STORE),
      feedHealthy: () => true,
      audit: () => ({ waiting: 0, full: false, failing: false, lastWrittenAt: null }),
      draining: () => false,
      startedAt: clock.now(),
    },
    audit,
    observe,
    metrics: { read: async () => await Promise.resolve({ contentType: 'text/plain', text: 'up 1\n' }) },
    clock,
    limits: { jsonDepth: 64, rows: 100, resultBytes: 1_000_000 },
    serverInfo,
  }
  return { app: createControlPlane(parts), parts, audit, events, observations, observe, tokens, upstreams }
}
