/**
 * `tools/call query_database` with everything on (authentication, gate, audit), against two MCP servers for
 * databases that do none of the three, and against plain `pg` without a server; same PostgreSQL, same run.
 *
 *     node bench/query.ts [--json] [--rounds 3] [--seconds 4]
 *
 * Every server is warmed up for 10 s first. Each round measures every candidate once, in turn, so that a drifting machine drifts for all of them.
 */
import { fork } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { load, type LoadResult, postJson } from './support/load.ts'
import { freePort, installPeers, start, type Started } from './support/peers.ts'
import { machine, median, round, table } from './support/table.ts'
import { startSample } from './support/sample.ts'

const { values } = parseArgs({
  options: { json: { type: 'boolean' }, rounds: { type: 'string' }, seconds: { type: 'string' } },
})
const rounds = Number(values.rounds ?? 3)
const durationMs = Number(values.seconds ?? 4) * 1_000

const STATEMENTS = {
  'SELECT 1': { sql: 'SELECT 1 AS one', expect: 'one' },
  'three-table join': {
    sql: 'SELECT o.id, c.name, p.name AS product, l.quantity FROM orders o JOIN customers c ON c.id = o.customer_id JOIN order_lines l ON l.order_id = o.id JOIN products p ON p.id = l.product_id WHERE o.id BETWEEN 1000 AND 1009',
    expect: 'product',
  },
} as const

const TOKEN = 'bench-token-0123456789abcdef0123456789abcdef'
const scratch = await mkdtemp(join(tmpdir(), 'postern-bench-'))
const started: Started[] = []
const sample = await startSample(scratch)

try {
  const { url } = sample

  const candidates: { name: string; request: (sql: string) => { port: number; request: string } | null }[] =
    []

  const postern = await startPostern(url)
  started.push(postern)
  candidates.push({
    name: 'postern',
    request: (sql) => ({
      port: postern.port,
      request: call(
        '/mcp',
        postern.port,
        'query_database',
        { query: sql },
        { authorization: `Bearer ${TOKEN}` },
      ),
    }),
  })

  const modules = await installPeers()
  const toolbox = await startToolbox(modules, sample.port, sample.user, sample.password, sample.database)
  started.push(toolbox)
  candidates.push({
    name: '@toolbox-sdk/server',
    request: (sql) => ({ port: toolbox.port, request: call('/mcp', toolbox.port, 'execute_sql', { sql }) }),
  })

  const dbhubPort = await freePort()
  const dbhub = await start(
    process.execPath,
    [
      join(modules, '@bytebase/dbhub/dist/index.js'),
      '--transport',
      'http',
      '--port',
      String(dbhubPort),
      '--host',
      '127.0.0.1',
    ],
    dbhubPort,
    { cwd: scratch, env: { DSN: url } },
  )
  started.push(dbhub)
  candidates.push({
    name: '@bytebase/dbhub',
    request: (sql) => ({ port: dbhub.port, request: call('/mcp', dbhub.port, 'execute_sql', { sql }) }),
  })

  candidates.push({ name: 'plain pg, no server', request: () => null })

  // Caches filled, code compiled, connections open: what is measured is the day, not the first minute of it.
  for (const candidate of candidates) {
    for (const { sql, expect } of Object.values(STATEMENTS)) {
      const target = candidate.request(sql)
      if (target) await load({ ...target, connections: 16, warmupMs: 4_000, durationMs: 1_000, expect })
    }
  }

  const rows: { statement: string; connections: number; name: string; result: LoadResult }[] = []
  for (const [statement, { sql, expect }] of Object.entries(STATEMENTS)) {
    for (const connections of [1, 16]) {
      const results = new Map<string, LoadResult[]>()
      for (let index = 0; index < rounds; index += 1) {
        for (const candidate of candidates) {
          const target = candidate.request(sql)
          const result = target
            ? await load({ ...target, connections, warmupMs: 1_000, durationMs, expect })
            : await plainPg(url, sql, connections)
          if (result.errors > 0)
            throw new Error(`${candidate.name}: ${result.errors} wrong answers to ${statement}`)
          results.set(candidate.name, [...(results.get(candidate.name) ?? []), result])
        }
      }
      for (const [name, measured] of results) {
        const middle = (pick: (result: LoadResult) => number): number => median(measured.map(pick))
        rows.push({
          statement,
          connections,
          name,
          result: {
            perSecond: middle((result) => result.perSecond),
            p50: middle((result) => result.p50),
            p99: middle((result) => result.p99),
            max: middle((result) => result.max),
            answers: middle((result) => result.answers),
            allAnswers: middle((result) => result.allAnswers),
            errors: 0,
          },
        })
      }
    }
  }

  const ratio = (row: (typeof rows)[number], to: string, pick: (result: LoadResult) => number): number => {
    const other = rows.find(
      (one) => one.statement === row.statement && one.connections === row.connections && one.name === to,
    )
    return other ? round(pick(row.result) / pick(other.result)) : Number.NaN
  }
  if (values.json === true) {
    console.log(
      JSON.stringify({ machine: machine(), rounds, seconds: durationMs / 1_000, rows }, undefined, 2),
    )
  } else {
    console.log(`${machine()}; median of ${rounds} rounds of ${durationMs / 1_000} s\n`)
    console.log(
      table(
        [
          'statement',
          'connections',
          'server',
          'calls/s',
          'p50 ms',
          'p99 ms',
          'calls/s ÷ toolbox',
          'p99 ÷ toolbox',
          'p50 ÷ plain pg',
        ],
        rows.map((row) => [
          row.statement,
          row.connections,
          row.name,
          Math.round(row.result.perSecond),
          round(row.result.p50, 3),
          round(row.result.p99, 2),
          ratio(row, '@toolbox-sdk/server', (result) => result.perSecond),
          ratio(row, '@toolbox-sdk/server', (result) => result.p99),
          ratio(row, 'plain pg, no server', (result) => result.p50),
        ]),
      ),
    )
  }
} finally {
  for (const one of started) await one.stop()
  await sample.close()
  await rm(scratch, { recursive: true, force: true })
}

async function startPostern(url: string): Promise<Started> {
  const port = await freePort()
  const cwd = join(scratch, 'postern')
  await mkdir(cwd, { recursive: true })
  await writeFile(
    join(cwd, 'postern.yaml'),
    [
      'server:',
      `  addr: 127.0.0.1:${port}`,
      'auth:',
      '  tokens:',
      `    bench: ${TOKEN}`,
      'databases:',
      '  - name: sample',
      `    url: "${url}"`,
      '    maxConnectionsPerCredential: 16',
      '',
    ].join('\n'),
    { mode: 0o600 },
  )
  return await start(
    process.execPath,
    [fileURLToPath(new URL('../bin/postern', import.meta.url)), 'serve'],
    port,
    { cwd },
  )
}

async function startToolbox(
  modules: string,
  pgPort: number,
  user: string,
  password: string,
  name: string,
): Promise<Started> {
  const port = await freePort()
  const cwd = join(scratch, 'toolbox')
  await mkdir(cwd, { recursive: true })
  await writeFile(
    join(cwd, 'tools.yaml'),
    [
      'sources:',
      '  pg:',
      '    kind: postgres',
      '    host: 127.0.0.1',
      `    port: ${pgPort}`,
      `    database: ${name}`,
      `    user: ${user}`,
      `    password: "${password}"`,
      'tools:',
      '  execute_sql:',
      '    kind: postgres-execute-sql',
      '    source: pg',
      '    description: Runs a statement.',
      '',
    ].join('\n'),
  )
  const binary = join(modules, '@toolbox-sdk/server-linux-x64/bin/toolbox')
  return await start(
    binary,
    ['--config', 'tools.yaml', '--port', String(port), '--disable-version-check'],
    port,
    { cwd },
  )
}

function call(
  path: string,
  port: number,
  tool: string,
  args: Readonly<Record<string, unknown>>,
  headers: Readonly<Record<string, string>> = {},
): string {
  const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool, arguments: args } }
  return postJson(path, port, body, headers)
}

/** The driver alone, in a process of its own: the floor under every server. */
async function plainPg(url: string, sql: string, connections: number): Promise<LoadResult> {
  const worker = fork(fileURLToPath(new URL('support/pg-worker.ts', import.meta.url)), [], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  return await new Promise((resolve, reject) => {
    worker.once('message', (result) => {
      resolve(result as LoadResult)
    })
    worker.once('error', reject)
    worker.send({ url, sql, connections, warmupMs: 1_000, durationMs })
  })
}
