/**
 * What keeping tenants apart costs: the same statements by way of Postern on the same tables, in a database that is
 * protected and in one that is not, in turn. Without HTTP and MCP. Runs on a database server of its own:
 *
 *     node bench/tenancy.ts [seconds per measurement]
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { startEmbeddedServer } from '../src/databases/embedded/server.ts'
import { loadGate } from '../src/databases/gate/judge.ts'
import { openDatabases } from '../src/databases/open.ts'
import { planProtection } from '../src/databases/tenancy/protect.ts'
import { readProtectionFacts } from '../src/databases/tenancy/read-facts.ts'
import { runPlan } from '../src/databases/tenancy/run-plan.ts'
import { tenantKey } from '../src/databases/tenancy/tenant-key.ts'
import { tenantRoles } from '../src/databases/tenancy/tenant-roles.ts'
import type { Caller } from '../src/identity/caller.ts'
import { Lifelines } from '../src/identity/lifelines.ts'
import { systemClock } from '../src/lib/clock.ts'
import { Secret } from '../src/lib/secret.ts'
import { machine, median, round, table } from './support/table.ts'

const SECONDS = Number(process.argv[2] ?? 1)
const ROUNDS = 5
const PREFIX = 'postern'
const TABLES = `
  CREATE TABLE orders (id int PRIMARY KEY, tenant_id text NOT NULL, customer int NOT NULL, note text);
  INSERT INTO orders SELECT g, CASE WHEN g % 2 = 0 THEN 'default' ELSE 'harbour' END, g % 1000, 'note ' || g FROM generate_series(1, 100000) g;
  CREATE INDEX ON orders (tenant_id, customer); ANALYZE`

const dir = await mkdtemp(join(tmpdir(), 'postern-bench-'))
const server = await startEmbeddedServer({ dir: join(dir, 'postgres'), durable: false })
const address = { host: server.host, port: server.port }
const key = tenantKey(Buffer.alloc(32, 7))
const roles = tenantRoles(key, PREFIX)

async function asSuperuser(database: string, work: (client: Client) => Promise<unknown>): Promise<void> {
  const { user, password } = server.superuser
  const client = new Client({ ...address, database, user, password: password.reveal() })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}

await asSuperuser('postgres', (client) => client.query(`CREATE ROLE bench LOGIN PASSWORD 'bench'`))
for (const name of ['plain', 'protected']) {
  await asSuperuser('postgres', (client) => client.query(`CREATE DATABASE ${name}`))
  await asSuperuser(name, (client) => client.query(TABLES))
}
await asSuperuser('plain', (client) => client.query('GRANT SELECT ON orders TO bench'))
await asSuperuser('protected', async (client) => {
  const facts = await readProtectionFacts(client, { prefix: PREFIX, columns: ['tenant_id'], roles: [] })
  const plan = planProtection(facts, {
    prefix: PREFIX,
    roles,
    tenants: ['default'],
    provisioner: null,
    column: 'tenant_id',
    schemas: ['public'],
    tables: null,
    shared: [],
    keyColumns: [],
  })
  if (!plan.ok) throw new Error(plan.error.join())
  await runPlan(client, plan.value.statements)
})

const shared = {
  ...address,
  user: 'bench',
  password: new Secret('bench'),
  sslmode: 'disable',
  writer: null,
  allowSuperuser: false,
  maxConnectionsPerCredential: 16,
  maxConnections: 32,
  idleTimeoutMs: 60_000,
  acquireTimeoutMs: 10_000,
  connectTimeoutMs: 5_000,
  statementTimeoutMs: 30_000,
} as const
const databases = await openDatabases(
  [
    { ...shared, name: 'plain', database: 'plain' },
    {
      ...shared,
      name: 'protected',
      database: 'protected',
      tenancy: { rolePrefix: PREFIX, provisioner: null },
    },
  ],
  {
    gate: await loadGate(),
    lifelines: new Lifelines(),
    clock: systemClock,
    observe: () => undefined,
    tenantKey: key,
    limits: {
      rows: 1_000,
      resultBytes: 4_000_000,
      streamRows: 0,
      streamTimeMs: 900_000,
      sessionsPerCredential: 3,
      sessionIdleMs: 60_000,
    },
  },
)
const caller: Caller = {
  principal: { kind: 'service', id: 'bench', name: 'bench' },
  credential: { id: 'bench', kind: 'issued', name: 'bench', createdAt: null, expiresAt: null },
  grant: { tenant: 'default', level: 'read-only', scopes: 'all', servers: 'all', databases: 'all' },
}
const { signal } = new AbortController()

/** The plain database is asked for the tenant's rows by a condition, as an application would. */
const CASES: readonly (readonly [name: string, plain: string, tenant: string])[] = [
  ['SELECT 1', 'SELECT 1', 'SELECT 1'],
  [
    'one row by key',
    `SELECT note FROM orders WHERE id = 500 AND tenant_id = 'default'`,
    'SELECT note FROM orders WHERE id = 500',
  ],
  [
    'fifty rows by index',
    `SELECT id, note FROM orders WHERE customer = 8 AND tenant_id = 'default'`,
    'SELECT id, note FROM orders WHERE customer = 8',
  ],
  [
    'count of 50,000',
    `SELECT count(*) FROM orders WHERE tenant_id = 'default'`,
    'SELECT count(*) FROM orders',
  ],
]

async function perSecond(database: string, sql: string): Promise<number> {
  const until = performance.now() + SECONDS * 1_000
  const started = performance.now()
  let count = 0
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      while (performance.now() < until) {
        const answer = await databases.run({ caller, database, sql, signal })
        if (!answer.ok) throw new Error(answer.error.message)
        count += 1
      }
    }),
  )
  return count / ((performance.now() - started) / 1_000)
}

try {
  const rows: string[][] = []
  for (const [name, plain, tenant] of CASES) {
    const figures = { plain: [] as number[], protected: [] as number[] }
    await perSecond('plain', plain)
    await perSecond('protected', tenant)
    for (let at = 0; at < ROUNDS; at += 1) {
      figures.plain.push(await perSecond('plain', plain))
      figures.protected.push(await perSecond('protected', tenant))
    }
    const [without, kept] = [median(figures.plain), median(figures.protected)]
    rows.push([name, String(round(without)), String(round(kept)), String(round(kept / without, 2))])
  }
  process.stdout.write(`${machine()}\n${table(['statement', 'plain /s', 'protected /s', 'ratio'], rows)}\n`)
} finally {
  await databases.close()
  await server.close()
  await rm(dir, { recursive: true, force: true })
}
