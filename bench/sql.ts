/**
 * One million rows from `POST /api/v1/query` as JSON, NDJSON and CSV, with everything on (authentication, gate, audit),
 * against the least that the same rows cost without a gateway: `pg` and `JSON.stringify` in a process of its own, and
 * PostgreSQL's `COPY` read by a socket that throws the bytes away. Same PostgreSQL, same run, in turn.
 *
 * More than a million rows are asked for as NDJSON and CSV only: neither one JSON document nor `pg` is made for them.
 *
 *     node bench/sql.ts [--json] [--rounds 5] [--rows 1000000]
 */
import { fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { freePort, start } from './support/peers.ts'
import type { RowsPlan, RowsResult } from './support/rows-worker.ts'
import { machine, median, round, table } from './support/table.ts'
import { startSample } from './support/sample.ts'

const { values } = parseArgs({
  options: { json: { type: 'boolean' }, rounds: { type: 'string' }, rows: { type: 'string' } },
})
const rounds = Number(values.rounds ?? 5)
const count = Number(values.rows ?? 1_000_000)

/** `limits.rows` can be no more. */
const MOST_IN_A_DOCUMENT = 1_000_000
const document = count <= MOST_IN_A_DOCUMENT

const SQL = `SELECT n AS id, 'customer number ' || n AS name, n * 0.25 AS amount, n % 2 = 0 AS even, timestamp '2026-01-01' + n * interval '1 second' AS at, CASE WHEN n % 3 = 0 THEN NULL ELSE 'a note, "quoted"' END AS note FROM generate_series(1, ${count}) n`

const FORMATS = { JSON: 'application/json', NDJSON: 'application/x-ndjson', CSV: 'text/csv' } as const
const TOKEN = 'bench-token-0123456789abcdef0123456789abcdef'

interface Measured {
  readonly seconds: number
  readonly bytes: number
  /** Highest resident memory meanwhile, above what the process had before it was first asked. */
  readonly aboveIdleMib: number
  /** The same at ten moments, evenly apart; MiB. */
  readonly overTimeMib?: readonly number[]
}

const scratch = await mkdtemp(join(tmpdir(), 'postern-bench-'))
const sample = await startSample(scratch)
try {
  const { url } = sample
  const port = await freePort()
  await writeFile(
    join(scratch, 'postern.yaml'),
    JSON.stringify({
      server: { addr: `127.0.0.1:${port}` },
      auth: { tokens: { bench: TOKEN } },
      limits: { rows: MOST_IN_A_DOCUMENT, resultBytes: '256MiB' },
      databases: [{ name: 'sample', url }],
    }),
    { mode: 0o600 },
  )
  const postern = await start(
    process.execPath,
    [fileURLToPath(new URL('../bin/postern', import.meta.url)), 'serve'],
    port,
    { cwd: scratch },
  )
  try {
    const idle = await settled(postern.pid)
    const candidates = new Map<string, () => Promise<Measured>>()
    for (const [name, accept] of Object.entries(FORMATS)) {
      if (name === 'JSON' && !document) continue
      candidates.set(`postern, ${name}`, () => overHttp(port, accept, postern.pid, idle))
    }
    if (document) candidates.set('pg and JSON.stringify', () => inWorker({ url, sql: SQL, way: 'pg' }))
    candidates.set('COPY, bytes thrown away', () => inWorker({ url, sql: SQL, way: 'copy' }))

    const measured = new Map<string, Measured[]>()
    for (let index = 0; index <= rounds; index += 1) {
      for (const [name, run] of candidates) {
        const one = await run()
        // The first round warms up: caches, compiled code, connections.
        if (index > 0) measured.set(name, [...(measured.get(name) ?? []), one])
      }
    }
    report(measured)
  } finally {
    await postern.stop()
  }
} finally {
  await sample.close()
  await rm(scratch, { recursive: true, force: true })
}

function report(measured: ReadonlyMap<string, readonly Measured[]>): void {
  const perSecond = (name: string): number =>
    count / median((measured.get(name) ?? []).map((one) => one.seconds))
  const rows = [...measured].map(([name, all]) => ({
    name,
    rowsPerSecond: Math.round(perSecond(name)),
    mibPerSecond: round(median(all.map((one) => one.bytes / one.seconds)) / 2 ** 20, 1),
    ofPg: round(perSecond(name) / perSecond('pg and JSON.stringify')),
    ofCopy: round(perSecond(name) / perSecond('COPY, bytes thrown away')),
    mostAboveIdleMib: Math.round(Math.max(...all.map((one) => one.aboveIdleMib))),
    overTimeMib: all.at(-1)?.overTimeMib?.map((mib) => Math.round(mib)) ?? [],
  }))
  if (values.json === true) {
    console.log(JSON.stringify({ machine: machine(), rounds, count, rows }, undefined, 2))
    return
  }
  console.log(`${machine()}; ${count} rows, median of ${rounds} rounds\n`)
  console.log(
    table(
      ['', 'rows/s', 'MiB/s', '÷ pg', '÷ COPY', 'MiB above idle, most', 'at ten moments of the last round'],
      rows.map((row) => [
        row.name,
        row.rowsPerSecond,
        row.mibPerSecond,
        Number.isNaN(row.ofPg) ? '' : row.ofPg,
        row.ofCopy,
        row.mostAboveIdleMib,
        row.overTimeMib.join(' '),
      ]),
    ),
  )
}

/** Reads a whole answer and throws it away, as fast as it comes. */
function overHttp(port: number, accept: string, pid: number, idle: number): Promise<Measured> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now()
    const seen: number[] = []
    const look = setInterval(() => {
      seen.push(resident(pid) - idle)
    }, 20)
    const one = request(
      {
        port,
        host: '127.0.0.1',
        method: 'POST',
        path: '/api/v1/query',
        headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json', accept },
      },
      (reply) => {
        let bytes = 0
        let tail = ''
        reply.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          tail = (tail + chunk.toString('latin1', Math.max(0, chunk.length - 500))).slice(-500)
        })
        reply.on('error', reject)
        reply.on('end', () => {
          clearInterval(look)
          const whole =
            accept === 'text/csv' ? tail.includes(`${count},customer`) : tail.includes(`"row_count":${count}`)
          if (reply.statusCode !== 200 || !whole) {
            reject(new Error(`status ${reply.statusCode}, not all rows: ${tail}`))
            return
          }
          resolve({
            seconds: (performance.now() - startedAt) / 1_000,
            bytes,
            aboveIdleMib: Math.max(...seen, resident(pid) - idle),
            overTimeMib: Array.from(
              { length: 10 },
              (_, part) => seen[Math.floor((seen.length * part) / 10)] ?? 0,
            ),
          })
        })
      },
    )
    one.on('error', reject)
    one.end(JSON.stringify({ sql: SQL }))
  })
}

/** Each time in a new process, which is what keeps a million objects of one round out of the next. */
function inWorker(plan: RowsPlan): Promise<Measured> {
  const worker = fork(fileURLToPath(new URL('support/rows-worker.ts', import.meta.url)), [], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  return new Promise((resolve, reject) => {
    worker.once('message', (result) => {
      resolve(result as RowsResult)
    })
    worker.once('error', reject)
    worker.send(plan)
  })
}

/** Resident memory once a process has finished starting: it still loads and connects when its port answers. MiB. */
async function settled(pid: number): Promise<number> {
  for (let before = 0; ;) {
    const now = resident(pid)
    if (Math.abs(now - before) < 0.5) return now
    before = now
    await new Promise((resolve) => setTimeout(resolve, 1_000))
  }
}

function resident(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024
}
