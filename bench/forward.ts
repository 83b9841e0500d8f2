/**
 * `tools/call` forwarded to a fast MCP server over Streamable HTTP, with everything on (authentication, decision,
 * record, metrics), against the same server reached directly, through nginx with a static bearer check, and through
 * other gateways on Node. Those reach only servers over stdio, so they get the same server over stdio.
 *
 *     node bench/forward.ts [--json] [--rounds 3] [--seconds 3] [--kinds session,stateless] [--connections 1,8,32] [--only postern,nginx]
 *
 * Every gateway keeps to one processor core, the load and the server behind it to the other. Each round measures every
 * candidate once, in turn, so that a drifting machine drifts for all of them. Needs two cores, `taskset`, and nginx
 * (Debian's package `nginx-light`).
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { cpuSeconds } from './support/cpu-time.ts'
import { load } from './support/load.ts'
import { startNginx } from './support/nginx.ts'
import { freePort, installPeers, start, type Started } from './support/peers.ts'
import { startPostern, TOKEN } from './support/postern.ts'
import { sessionCall, statelessCall } from './support/session-call.ts'
import { ANSWER_MARK, SESSION, STATELESS } from './support/static-server.ts'
import { machine, median, round, table } from './support/table.ts'

const { values } = parseArgs({
  options: {
    json: { type: 'boolean' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    kinds: { type: 'string' },
    connections: { type: 'string' },
    only: { type: 'string' },
  },
})
const rounds = Number(values.rounds ?? 3)
const durationMs = Number(values.seconds ?? 3) * 1_000
const kinds = (values.kinds ?? 'session,stateless').split(',') as Kind[]
const connectionCounts = (values.connections ?? '1,8,32').split(',').map(Number)

type Kind = 'session' | 'stateless'

interface Candidate {
  readonly name: string
  /** Of the gateway; that of the server itself is not counted. */
  readonly pid?: number
  readonly port: number
  readonly path: (kind: Kind) => string
  /** What it cannot carry, and why. */
  readonly cannot?: Partial<Record<Kind, string>>
}

interface Figures {
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly max: number
  /** Microseconds of processor time the gateway spends on one call: what counts where something else is the limit. */
  readonly cpuPerCall: number
}

const GATEWAY_CORE = 0
const LOAD_CORE = 1

const scratch = await mkdtemp(join(tmpdir(), 'postern-bench-'))
const started: Started[] = []

try {
  const upstream = await startPinned(LOAD_CORE, [script('static-http.ts')], 'port')
  const samePath = (kind: Kind): string => `/${kind}`
  const wanted = values.only?.split(',')
  const isWanted = (name: string): boolean => wanted === undefined || wanted.includes(name)
  const candidates: Candidate[] = [{ name: 'direct', port: upstream.port, path: samePath }]

  if (isWanted('nginx')) {
    const nginx = await startNginx(scratch, upstream.port, TOKEN, GATEWAY_CORE)
    started.push(nginx)
    candidates.push({ name: 'nginx', pid: nginx.pid, port: nginx.port, path: samePath })
  }
  if (isWanted('bare')) {
    const bare = await startPinned(
      GATEWAY_CORE,
      [script('bare-proxy.ts')],
      'port',
      String(upstream.port),
      TOKEN,
    )
    candidates.push({ name: 'bare', pid: bare.pid, port: bare.port, path: samePath })
  }
  if (isWanted('postern')) {
    const postern = await startPostern(scratch, servers(upstream.port), GATEWAY_CORE)
    started.push(postern)
    candidates.push({ name: 'postern', pid: postern.pid, port: postern.port, path: (kind) => `/${kind}/mcp` })
  }
  if (isWanted('mcp-proxy')) {
    const modules = await installPeers('gateways')
    const proxy = await startPinned(
      GATEWAY_CORE,
      [
        join(modules, 'mcp-proxy/dist/bin/mcp-proxy.mjs'),
        '--server',
        'stream',
        '--host',
        '127.0.0.1',
        '--port',
      ],
      'port',
      '--',
      'taskset',
      '-c',
      String(LOAD_CORE),
      process.execPath,
      script('static-stdio.ts'),
    )
    candidates.push({ name: 'mcp-proxy', pid: proxy.pid, port: proxy.port, path: () => '/mcp' })
  }
  if (isWanted('supergateway')) {
    const modules = await installPeers('gateways')
    const child = `taskset -c ${LOAD_CORE} ${process.execPath} ${script('static-stdio.ts')}`
    const supergateway = await startPinned(
      GATEWAY_CORE,
      [
        join(modules, 'supergateway/dist/index.js'),
        '--stdio',
        child,
        '--outputTransport',
        'streamableHttp',
        '--stateful',
        '--logLevel',
        'none',
        '--port',
      ],
      'port',
    )
    candidates.push({
      name: 'supergateway',
      pid: supergateway.pid,
      port: supergateway.port,
      path: () => '/mcp',
      cannot: { stateless: 'knows no revision without sessions' },
    })
  }

  const rows: { kind: Kind; connections: number; name: string; result: Figures }[] = []
  const left: string[] = []
  for (const kind of kinds) {
    const able: { candidate: Candidate; request: string }[] = []
    for (const candidate of candidates) {
      const why = candidate.cannot?.[kind]
      if (why === undefined) able.push({ candidate, request: await requestFor(candidate, kind) })
      else left.push(`${candidate.name}, ${kind}: ${why}`)
    }
    const run = async (
      { candidate, request }: (typeof able)[number],
      connections: number,
      warmupMs: number,
      ms: number,
    ) => {
      const before = candidate.pid === undefined ? 0 : cpuSeconds(candidate.pid)
      const result = await load({
        port: candidate.port,
        request,
        connections,
        warmupMs,
        durationMs: ms,
        expect: ANSWER_MARK,
        core: LOAD_CORE,
      })
      if (result.errors > 0) throw new Error(`${candidate.name}: ${result.errors} wrong answers (${kind})`)
      const used = candidate.pid === undefined ? Number.NaN : cpuSeconds(candidate.pid) - before
      return { ...result, cpuPerCall: (used * 1e6) / result.allAnswers }
    }
    // Caches filled, code compiled, connections open.
    for (const one of able) await run(one, 8, 2_000, 500)
    for (const connections of connectionCounts) {
      const results = new Map<string, Figures[]>()
      for (let index = 0; index < rounds; index += 1) {
        for (const one of able) {
          const result = await run(one, connections, 500, durationMs)
          results.set(one.candidate.name, [...(results.get(one.candidate.name) ?? []), result])
        }
      }
      for (const [name, measured] of results) {
        const middle = (pick: (result: Figures) => number): number => median(measured.map(pick))
        rows.push({
          kind,
          connections,
          name,
          result: {
            perSecond: middle((result) => result.perSecond),
            p50: middle((result) => result.p50),
            p99: middle((result) => result.p99),
            max: middle((result) => result.max),
            cpuPerCall: middle((result) => result.cpuPerCall),
          },
        })
      }
    }
  }

  const beside = (row: (typeof rows)[number], name: string): Figures | undefined =>
    rows.find((one) => one.kind === row.kind && one.connections === row.connections && one.name === name)
      ?.result
  const ratio = (row: (typeof rows)[number], name: string): number | string => {
    const other = beside(row, name)
    return other ? round(row.result.perSecond / other.perSecond) : '-'
  }
  const added = (row: (typeof rows)[number]): number =>
    round(row.result.p50 - (beside(row, 'direct')?.p50 ?? Number.NaN), 3)
  if (values.json === true) {
    console.log(
      JSON.stringify({ machine: machine(), rounds, seconds: durationMs / 1_000, rows, left }, undefined, 2),
    )
  } else {
    console.log(`${machine()}; median of ${rounds} rounds of ${durationMs / 1_000} s\n`)
    console.log(
      table(
        [
          'revision',
          'connections',
          'through',
          'calls/s',
          'p50 ms',
          'p99 ms',
          'added p50 ms',
          'gateway CPU µs/call',
          'calls/s ÷ nginx',
          'CPU of nginx ÷',
          '÷ mcp-proxy',
          '÷ supergateway',
        ],
        rows.map((row) => [
          row.kind === 'session' ? SESSION : STATELESS,
          row.connections,
          row.name,
          Math.round(row.result.perSecond),
          round(row.result.p50, 3),
          round(row.result.p99, 2),
          added(row),
          round(row.result.cpuPerCall, 1),
          ratio(row, 'nginx'),
          round((beside(row, 'nginx')?.cpuPerCall ?? Number.NaN) / row.result.cpuPerCall),
          ratio(row, 'mcp-proxy'),
          ratio(row, 'supergateway'),
        ]),
      ),
    )
    if (left.length > 0) console.log(`\nNot measured: ${left.join('; ')}`)
  }
} finally {
  for (const one of started) await one.stop()
  await rm(scratch, { recursive: true, force: true })
}

function script(name: string): string {
  return fileURLToPath(new URL(`support/${name}`, import.meta.url))
}

/** Starts a program of Node on one core; the argument `port` stands for a free port. */
async function startPinned(core: number, program: readonly string[], ...more: string[]): Promise<Started> {
  const port = await freePort()
  const args = [...program, ...more].map((arg) => (arg === 'port' ? String(port) : arg))
  const one = await start('taskset', ['-c', String(core), process.execPath, ...args], port, { cwd: scratch })
  started.push(one)
  return one
}

function servers(upstreamPort: number): readonly string[] {
  return [
    'mcpServers:',
    ...(['session', 'stateless'] as const).flatMap((kind) => [
      `  ${kind}:`,
      `    url: http://127.0.0.1:${upstreamPort}/${kind}`,
      `    transport: ${kind === 'session' ? 'streamable' : kind}`,
      '    level: read-only',
    ]),
  ]
}

async function requestFor({ name, port, path }: Candidate, kind: Kind): Promise<string> {
  try {
    return kind === 'session' ? await sessionCall(port, path(kind)) : statelessCall(port, path(kind))
  } catch (cause) {
    throw new Error(`${name} cannot be measured`, { cause })
  }
}
