/**
 * `tools/call` to one MCP server over stdio: through Postern, where all clients share the process, with everything on
 * (HTTP, authentication, decision, record, metrics), against a client library that speaks to a process of its own.
 *
 *     node bench/stdio.ts [--json] [--rounds 3] [--seconds 3] [--at-once 1,8,32]
 */
import { fork } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { load, type LoadResult } from './support/load.ts'
import { startPostern } from './support/postern.ts'
import { sessionCall } from './support/session-call.ts'
import { ANSWER_MARK } from './support/static-server.ts'
import type { StdioPlan } from './support/stdio-worker.ts'
import { machine, median, round, table } from './support/table.ts'

const { values } = parseArgs({
  options: {
    json: { type: 'boolean' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    'at-once': { type: 'string' },
  },
})
const rounds = Number(values.rounds ?? 3)
const durationMs = Number(values.seconds ?? 3) * 1_000
const counts = (values['at-once'] ?? '1,8,32').split(',').map(Number)

const scratch = await mkdtemp(join(tmpdir(), 'postern-bench-'))
const server = fileURLToPath(new URL('support/static-stdio.ts', import.meta.url))
const postern = await startPostern(scratch, [
  'mcpServers:',
  '  parts:',
  `    command: ${JSON.stringify(process.execPath)}`,
  `    args: [${JSON.stringify(server)}]`,
  '    process: shared',
  '    level: read-only',
])

try {
  const request = await sessionCall(postern.port, '/parts/mcp')
  const through = async (connections: number, warmupMs: number, ms: number): Promise<LoadResult> => {
    const result = await load({
      port: postern.port,
      request,
      connections,
      warmupMs,
      durationMs: ms,
      expect: ANSWER_MARK,
    })
    if (result.errors > 0) throw new Error(`postern: ${result.errors} wrong answers`)
    return result
  }
  await through(8, 3_000, 500)

  const rows: { atOnce: number; name: string; perSecond: number; p50: number; p99: number }[] = []
  for (const atOnce of counts) {
    const measured: { direct: LoadResult[]; postern: LoadResult[] } = { direct: [], postern: [] }
    for (let index = 0; index < rounds; index += 1) {
      measured.direct.push(await direct({ atOnce, warmupMs: 1_000, durationMs }))
      measured.postern.push(await through(atOnce, 500, durationMs))
    }
    for (const [name, results] of Object.entries(measured)) {
      const middle = (pick: (result: LoadResult) => number): number => median(results.map(pick))
      rows.push({
        atOnce,
        name,
        perSecond: middle((result) => result.perSecond),
        p50: middle((result) => result.p50),
        p99: middle((result) => result.p99),
      })
    }
  }

  if (values.json === true) {
    console.log(
      JSON.stringify({ machine: machine(), rounds, seconds: durationMs / 1_000, rows }, undefined, 2),
    )
  } else {
    console.log(`${machine()}; median of ${rounds} rounds of ${durationMs / 1_000} s\n`)
    console.log(
      table(
        ['calls at once', 'way', 'calls/s', 'p50 ms', 'p99 ms', '÷ direct'],
        rows.map((row) => {
          const other = rows.find(({ atOnce, name }) => atOnce === row.atOnce && name === 'direct')
          return [
            row.atOnce,
            row.name === 'direct' ? 'client library, own process' : 'postern, shared process',
            Math.round(row.perSecond),
            round(row.p50, 3),
            round(row.p99, 2),
            round(row.perSecond / (other?.perSecond ?? Number.NaN)),
          ]
        }),
      ),
    )
  }
} finally {
  await postern.stop()
  await rm(scratch, { recursive: true, force: true })
}

/** The client library in a process of its own. */
async function direct(plan: StdioPlan): Promise<LoadResult> {
  const worker = fork(fileURLToPath(new URL('support/stdio-worker.ts', import.meta.url)), [], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  return await new Promise((resolve, reject) => {
    worker.once('message', (result) => {
      resolve(result as LoadResult)
    })
    worker.once('error', reject)
    worker.once('exit', (code) => {
      reject(new Error(`the client process ended with ${code}`))
    })
    worker.send(plan)
  })
}
