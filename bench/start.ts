/**
 * From the start of the process to the first answer, the memory of an idle gateway, and what 1,000 open MCP
 * sessions add. The floor is a Node process that only listens.
 *
 *     node bench/start.ts [--json] [--times 5]
 */
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { freePort, start, type Started } from './support/peers.ts'
import { machine, median, round, table } from './support/table.ts'

const { values } = parseArgs({ options: { json: { type: 'boolean' }, times: { type: 'string' } } })
const times = Number(values.times ?? 5)
const SESSIONS = 1_000
const TOKEN = 'bench-token-0123456789abcdef0123456789abcdef'
const scratch = await mkdtemp(join(tmpdir(), 'postern-start-'))
const main = fileURLToPath(new URL('../bin/postern', import.meta.url))

try {
  const floor = await sample(async (port) =>
    start(
      process.execPath,
      ['-e', `require('node:http').createServer((q, r) => r.end()).listen(${port}, '127.0.0.1')`],
      port,
      {
        cwd: scratch,
      },
    ),
  )
  const postern = await sample(async (port) => {
    await writeFile(
      join(scratch, 'postern.yaml'),
      `server: { addr: "127.0.0.1:${port}" }\nauth: { tokens: { bench: ${TOKEN} } }\nlimits: { sessions: 2000, sessionsPerCredential: 2000 }\nlog: { level: error }\n`,
      { mode: 0o600 },
    )
    return start(process.execPath, [main, 'serve'], port, { cwd: scratch })
  }, openSessions)

  const rows = [
    ['bare node:http', floor.readyMs, floor.idleMb, '', ''],
    [
      'postern',
      postern.readyMs,
      postern.idleMb,
      postern.sessionKb,
      round(postern.readyMs / floor.readyMs, 1),
    ],
  ]
  if (values.json === true) console.log(JSON.stringify({ machine: machine(), floor, postern }, undefined, 2))
  else {
    console.log(`${machine()}; median of ${times} starts\n`)
    console.log(
      table(
        ['process', 'ready ms', 'idle MB resident', `KB for each of ${SESSIONS} sessions`, 'ready ÷ bare'],
        rows,
      ),
    )
  }
} finally {
  await rm(scratch, { recursive: true, force: true })
}

interface Sample {
  readonly readyMs: number
  readonly idleMb: number
  readonly sessionKb: number
}

async function sample(
  launch: (port: number) => Promise<Started>,
  fill?: (port: number) => Promise<void>,
): Promise<Sample> {
  const samples: Sample[] = []
  for (let index = 0; index < times; index += 1) {
    const port = await freePort()
    const startedAt = performance.now()
    const process = await launch(port)
    await fetch(`http://127.0.0.1:${port}/health`).then((response) => response.arrayBuffer())
    const readyMs = performance.now() - startedAt
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    const idle = residentBytes(process.pid)
    let sessionKb = 0
    if (fill) {
      await fill(port)
      sessionKb = (residentBytes(process.pid) - idle) / SESSIONS / 1024
    }
    samples.push({ readyMs, idleMb: idle / 2 ** 20, sessionKb })
    await process.stop()
  }
  const middle = (pick: (one: Sample) => number): number => round(median(samples.map(pick)), 1)
  return {
    readyMs: middle((one) => one.readyMs),
    idleMb: middle((one) => one.idleMb),
    sessionKb: middle((one) => one.sessionKb),
  }
}

async function openSessions(port: number): Promise<void> {
  for (let index = 0; index < SESSIONS; index += 1) {
    const response = await fetch(`http://127.0.0.1:${port}/mcp`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${TOKEN}`,
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
      },
      body: JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'initialize',
        params: {
          protocolVersion: '2025-11-25',
          capabilities: {},
          clientInfo: { name: 'bench', version: '1' },
        },
      }),
    })
    await response.arrayBuffer()
    if (response.headers.get('mcp-session-id') === null) throw new Error(`no session: ${response.status}`)
  }
}

function residentBytes(pid: number): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(match?.[1]) * 1024
}
