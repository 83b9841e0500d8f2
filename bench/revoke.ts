/**
 * From the removal of a token to its first refusal, and to the end of its database connection: removed in the
 * gateway's own process (REST), and by another process on the same store, as the command line does it.
 *
 *     node bench/revoke.ts [--json] [--times 1000]
 */
import { fork } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Client } from 'pg'
import { freePort, start } from './support/peers.ts'
import { machine, round, table } from './support/table.ts'
import { startSample } from './support/sample.ts'

const { values } = parseArgs({ options: { json: { type: 'boolean' }, times: { type: 'string' } } })
const times = Number(values.times ?? 1_000)

const ADMIN = 'bench-admin-0123456789abcdef0123456789abcdef'
const scratch = await mkdtemp(join(tmpdir(), 'postern-revoke-'))
const sample = await startSample(scratch)
const { url } = sample

const port = await freePort()
await writeFile(
  join(scratch, 'postern.yaml'),
  [
    `server: { addr: "127.0.0.1:${port}" }`,
    `auth: { tokens: { admin: { value: ${ADMIN}, level: admin } } }`,
    `databases: [{ name: sample, url: "${url}", maxConnections: 200 }]`,
    'log: { level: error }',
    '',
  ].join('\n'),
  { mode: 0o600 },
)
const main = fileURLToPath(new URL('../bin/postern', import.meta.url))
const gateway = await start(process.execPath, [main, 'serve'], port, { cwd: scratch })
const watcher = new Client({ connectionString: url })
await watcher.connect()
const remover = fork(fileURLToPath(new URL('support/revoke-worker.ts', import.meta.url)), [
  join(scratch, '.postern', 'postern.db'),
])
await new Promise((resolve) => remover.once('message', resolve))

try {
  const ways = {
    'in the same process (REST)': async (id: string): Promise<void> => {
      const { status } = await ask(`/api/v1/admin/tokens/${id}`, ADMIN, { method: 'DELETE' })
      if (status >= 300) throw new Error(`removal answered ${status}`)
    },
    'by another process (store)': async (id: string): Promise<void> => {
      const done = new Promise((resolve) => remover.once('message', resolve))
      remover.send(id)
      await done
    },
  }
  const rows: { way: string; what: string; samples: number[] }[] = []
  for (const [way, remove] of Object.entries(ways)) {
    const refused: number[] = []
    const closed: number[] = []
    for (let index = 0; index < times; index += 1) {
      const { id, token } = (await json(
        await ask('/api/v1/admin/tokens', ADMIN, { method: 'POST', body: '{"note":"bench"}' }),
      )) as {
        id: string
        token: string
      }
      const answer = (await json(
        await ask('/mcp/tools/query_database', token, {
          method: 'POST',
          body: '{"query":"SELECT pg_backend_pid()"}',
        }),
      )) as { rows: [[number]] }
      const [[pid]] = answer.rows
      const startedAt = performance.now()
      const [refusedAt, closedAt] = await Promise.all([untilRefused(token), untilClosed(pid), remove(id)])
      refused.push(refusedAt - startedAt)
      closed.push(closedAt - startedAt)
    }
    rows.push(
      { way, what: 'first refusal', samples: refused },
      { way, what: 'connection closed', samples: closed },
    )
  }
  const figures = rows.map(({ way, what, samples }) => {
    samples.sort((a, b) => a - b)
    const at = (share: number): number =>
      round(samples[Math.min(samples.length - 1, Math.floor(samples.length * share))] ?? Number.NaN, 1)
    return { way, what, times: samples.length, median: at(0.5), p99: at(0.99), max: at(1) }
  })
  if (values.json === true) console.log(JSON.stringify({ machine: machine(), figures }, undefined, 2))
  else {
    console.log(`${machine()}; ${times} removals each; the removal itself is included\n`)
    console.log(
      table(
        ['token removed', 'until', 'median ms', 'p99 ms', 'max ms'],
        figures.map((one) => [one.way, one.what, one.median, one.p99, one.max]),
      ),
    )
  }
} finally {
  remover.kill()
  await watcher.end()
  await gateway.stop()
  await sample.close()
  await rm(scratch, { recursive: true, force: true })
}

async function ask(
  path: string,
  token: string,
  options: { method: string; body?: string },
): Promise<Response> {
  return await fetch(`http://127.0.0.1:${port}${path}`, {
    ...options,
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
  })
}

async function json(response: Response): Promise<unknown> {
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}: ${await response.text()}`)
  return await response.json()
}

async function untilRefused(token: string): Promise<number> {
  for (;;) {
    const response = await ask('/mcp/tools', token, { method: 'GET' })
    await response.arrayBuffer()
    if (response.status === 401) return performance.now()
  }
}

async function untilClosed(pid: number): Promise<number> {
  for (;;) {
    const { rowCount } = await watcher.query('SELECT 1 FROM pg_stat_activity WHERE pid = $1', [pid])
    if (rowCount === 0) return performance.now()
  }
}
