/**
 * What the guarded way into PostgreSQL costs beside plain `pg`, on the same server in the same run. Without
 * HTTP and MCP; `bench/query` measures those. Runs on a database of its own:
 * `node bench/query-raw.ts [seconds per measurement]`.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, type QueryArrayConfig } from 'pg'
import { startEmbeddedServer } from '../src/databases/embedded/server.ts'
import { loadGate } from '../src/databases/gate/judge.ts'
import { openDatabases } from '../src/databases/open.ts'
import type { Caller } from '../src/identity/caller.ts'
import { Lifelines } from '../src/identity/lifelines.ts'
import { systemClock } from '../src/lib/clock.ts'
import { Secret } from '../src/lib/secret.ts'

const SECONDS = Number(process.argv[2] ?? 2)
/** The best of so many rounds counts, taken in turn, so that what disturbs one case disturbs all. */
const ROUNDS = 3
const CAREFUL_SQL = 'SELECT bench_careful()'
const JOIN = `SELECT c.name, o.id, sum(i.quantity) AS quantity FROM customers c JOIN orders o ON o.customer_id = c.id
  JOIN items i ON i.order_id = o.id WHERE c.id < 20 GROUP BY c.name, o.id ORDER BY o.id LIMIT 100`

const dir = await mkdtemp(join(tmpdir(), 'postern-bench-'))
const server = await startEmbeddedServer({ dir: join(dir, 'postgres'), durable: false })
const address = { host: server.host, port: server.port, database: 'postgres' }
const superuser = new Client({
  ...address,
  user: server.superuser.user,
  password: server.superuser.password.reveal(),
})
await superuser.connect()
await superuser.query(`
  CREATE ROLE bench LOGIN PASSWORD 'bench';
  CREATE TABLE customers (id int PRIMARY KEY, name text);
  CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers);
  CREATE TABLE items (id int PRIMARY KEY, order_id int REFERENCES orders, quantity int);
  INSERT INTO customers SELECT g, 'customer ' || g FROM generate_series(1, 1000) g;
  INSERT INTO orders SELECT g, g % 1000 + 1 FROM generate_series(1, 10000) g;
  INSERT INTO items SELECT g, g % 10000 + 1, g % 7 FROM generate_series(1, 30000) g;
  CREATE INDEX ON orders (customer_id); CREATE INDEX ON items (order_id);
  CREATE FUNCTION bench_careful() RETURNS int LANGUAGE sql STABLE AS 'SELECT 1';
  GRANT SELECT ON ALL TABLES IN SCHEMA public TO bench; ANALYZE;
`)
await superuser.end()

const options = {
  ...address,
  name: 'bench',
  user: 'bench',
  password: new Secret('bench'),
  sslmode: 'disable',
  writer: null,
  allowSuperuser: false,
  maxConnectionsPerCredential: 16,
  maxConnections: 16,
  idleTimeoutMs: 60_000,
  acquireTimeoutMs: 10_000,
  connectTimeoutMs: 5_000,
  statementTimeoutMs: 30_000,
} as const
const gate = await loadGate()
const databases = await openDatabases([options], {
  gate,
  lifelines: new Lifelines(),
  clock: systemClock,
  observe: () => undefined,
  limits: {
    rows: 1_000,
    resultBytes: 4_000_000,
    streamRows: 0,
    streamTimeMs: 900_000,
    sessionsPerCredential: 3,
    sessionIdleMs: 60_000,
  },
})
const caller: Caller = {
  principal: { kind: 'service', id: 'bench', name: 'bench' },
  credential: { id: 'bench', kind: 'issued', name: 'bench', createdAt: null, expiresAt: null },
  grant: { tenant: 'default', level: 'read-only', scopes: 'all', servers: 'all', databases: 'all' },
}
const { signal } = new AbortController()
const postern = async (sql: string): Promise<void> => {
  const result = await databases.run({ caller, sql, signal })
  if (!result.ok) throw new Error(result.error.message)
}

const clients = await Promise.all(
  Array.from({ length: 16 }, async () => {
    const client = new Client({ ...address, user: 'bench', password: 'bench' })
    await client.connect()
    return client
  }),
)
const extended = (client: Client, text: string): Promise<unknown> =>
  client.query({ text, rowMode: 'array', queryMode: 'extended' } as QueryArrayConfig)
const plain = (sql: string) => async (worker: number) => {
  await extended(clients[worker]!, sql)
}
const transaction = (sql: string) => async (worker: number) => {
  const client = clients[worker]!
  await extended(client, 'BEGIN READ ONLY')
  await extended(client, 'SELECT 1')
  await extended(client, sql)
  await extended(client, 'ROLLBACK')
}

interface Measured {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  /** Processor time of this process per call; steadier than the clock on a machine that does other things. */
  readonly cpuMicros: number
}

async function measure(concurrency: number, call: (worker: number) => Promise<void>): Promise<Measured> {
  const until = performance.now() + SECONDS * 1_000
  const times: number[] = []
  const started = performance.now()
  const cpu = process.cpuUsage()
  await Promise.all(
    Array.from({ length: concurrency }, async (_, worker) => {
      while (performance.now() < until) {
        const start = performance.now()
        await call(worker)
        times.push(performance.now() - start)
      }
    }),
  )
  const elapsed = performance.now() - started
  const { user, system } = process.cpuUsage(cpu)
  times.sort((a, b) => a - b)
  const at = (share: number): number => times[Math.floor(times.length * share)] ?? 0
  return {
    perSecond: (times.length / elapsed) * 1_000,
    p50: at(0.5),
    p99: at(0.99),
    cpuMicros: (user + system) / times.length,
  }
}

const cases: readonly (readonly [name: string, call: (worker: number) => Promise<void>])[] = [
  ['SELECT 1: pg, one extended statement', plain('SELECT 1')],
  ['SELECT 1: postern, fast path', () => postern('SELECT 1')],
  ['SELECT 1: pg, BEGIN / SELECT / statement / ROLLBACK', transaction('SELECT 1')],
  ['function: pg, one extended statement', plain(CAREFUL_SQL)],
  ['function: postern, careful path', () => postern(CAREFUL_SQL)],
  ['join: pg, one extended statement', plain(JOIN)],
  ['join: postern', () => postern(JOIN)],
]
for (const [, call] of cases) await measure(16, call)
console.log(
  '| what | connections | calls/s | p50 ms | p99 ms | CPU µs |\n| --- | --- | --- | --- | --- | --- |',
)
for (const concurrency of [1, 16]) {
  const best = new Map<string, Measured>()
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const [name, call] of cases) {
      const measured = await measure(concurrency, call)
      if (measured.perSecond > (best.get(name)?.perSecond ?? 0)) best.set(name, measured)
    }
  }
  for (const [name, { perSecond, p50, p99, cpuMicros }] of best) {
    const figures = [Math.round(perSecond), p50.toFixed(3), p99.toFixed(3), cpuMicros.toFixed(1)]
    console.log(`| ${name} | ${concurrency} | ${figures.join(' | ')} |`)
  }
}

await databases.close()
await Promise.all(clients.map((client) => client.end()))
await server.close()
await rm(dir, { recursive: true, force: true })
