/**
 * Sign-ins per second against what the same cores make of Argon2id with the same parameters and nothing else to do; how
 * late the event loop is meanwhile; and what others notice, who send cheap requests at a fixed rate. Processor time says
 * the same as the rate does, and says it on a machine that does other things, too.
 *
 *     node bench/login.ts [--json] [--quick]
 */
import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { ArgonPlan, ArgonResult } from './support/argon-worker.ts'
import { cpuSeconds } from './support/cpu-time.ts'
import { inProcess } from './support/in-process.ts'
import { load, postJson } from './support/load.ts'
import { AUTHORIZATION, startPostern } from './support/postern.ts'
import type { RatePlan, RateResult } from './support/rate-worker.ts'
import { machine, median, round, table } from './support/table.ts'

const { values } = parseArgs({ options: { json: { type: 'boolean' }, quick: { type: 'boolean' } } })
const quick = values.quick === true
const ROUNDS = quick ? 2 : 7
const DURATION_MS = quick ? 2_000 : 5_000
const WARMUP_MS = 1_000

/** Enough to keep every core busy while answers are on their way. */
const CONNECTIONS = 4 * availableParallelism()

/** Requests of others, each second. */
const OTHERS_PER_SECOND = 100

const COST = { memoryKb: 19_456, timeCost: 2, parallelism: 1 }
const PASSWORD = 'correct horse battery staple'

const scratch = await mkdtemp(join(tmpdir(), 'postern-login-'))
const gateway = await startPostern(scratch, ['log: { level: error }'])
try {
  const cwd = join(scratch, `postern-${gateway.port}`)
  postern(cwd, ['user', 'add', '--username', 'alice', '--password-stdin'], PASSWORD)
  const { token: admin } = JSON.parse(
    postern(cwd, ['token', 'add', '--note', 'bench', '--level', 'admin', '--json']),
  ) as { token: string }

  const rounds: Round[] = []
  for (let at = 0; at < ROUNDS; at += 1) {
    const { perSecond: bare, cpuMsPerHash } = await inProcess<ArgonResult>('argon-worker.ts', {
      ...COST,
      threads: availableParallelism(),
      durationMs: DURATION_MS,
    } satisfies ArgonPlan)
    const cpuBefore = cpuSeconds(gateway.pid)
    const alone = await load(stormFor(DURATION_MS))
    const cpuMsPerLogin = ((cpuSeconds(gateway.pid) - cpuBefore) * 1_000) / alone.allAnswers
    await loopDelayMs(admin)
    const quiet = await others()
    const quietLoopMs = await loopDelayMs(admin)
    // It begins before the requests that are measured, and ends after them.
    const during = load(stormFor(DURATION_MS + 2_000))
    const storm = await others()
    const loopMs = await loopDelayMs(admin)
    const { errors } = await during
    rounds.push({
      bare,
      cpuMsPerHash,
      cpuMsPerLogin,
      quietLoopMs,
      logins: alone.perSecond,
      p50: alone.p50,
      errors: alone.errors + errors,
      loopMs,
      quiet,
      storm,
    })
  }
  report(rounds)
} finally {
  await gateway.stop()
  await rm(scratch, { recursive: true, force: true })
}

function stormFor(durationMs: number): Parameters<typeof load>[0] {
  const body = { username: 'alice', password: PASSWORD }
  return {
    port: gateway.port,
    request: postJson('/api/v1/auth/login', gateway.port, body),
    connections: CONNECTIONS,
    warmupMs: WARMUP_MS,
    durationMs,
    expect: '"token":"eyJ',
  }
}

/** A cached credential, a route that asks nothing: what is left is the way in and out. */
async function others(): Promise<RateResult> {
  const head = [
    `GET /api/v1/auth/me HTTP/1.1`,
    `host: 127.0.0.1:${gateway.port}`,
    `authorization: ${AUTHORIZATION.authorization}`,
  ]
  return await inProcess<RateResult>('rate-worker.ts', {
    port: gateway.port,
    request: `${head.join('\r\n')}\r\n\r\n`,
    perSecond: OTHERS_PER_SECOND,
    warmupMs: WARMUP_MS,
    durationMs: DURATION_MS,
    expect: '"username":"bench"',
  } satisfies RatePlan)
}

/** As the gateway itself reports it: the 99th percentile since it was asked last. */
async function loopDelayMs(token: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${gateway.port}/metrics`, {
    headers: { authorization: `Bearer ${token}` },
  })
  const seconds = /^nodejs_eventloop_delay_p99_seconds (\S+)$/m.exec(await response.text())?.[1]
  if (seconds === undefined) throw new Error('no delay of the event loop in the metrics')
  return Number(seconds) * 1_000
}

function postern(cwd: string, args: readonly string[], input = ''): string {
  const file = fileURLToPath(new URL('../bin/postern', import.meta.url))
  return execFileSync(process.execPath, [file, ...args], { cwd, input, encoding: 'utf8' })
}

interface Round {
  readonly bare: number
  readonly cpuMsPerHash: number
  readonly cpuMsPerLogin: number
  readonly logins: number
  readonly p50: number
  readonly errors: number
  readonly loopMs: number
  readonly quietLoopMs: number
  readonly quiet: RateResult
  readonly storm: RateResult
}

function report(rounds: readonly Round[]): void {
  const of = (read: (one: Round) => number): number => median(rounds.map(read))
  const figures = {
    barePerSecond: round(
      of(({ bare }) => bare),
      1,
    ),
    loginsPerSecond: round(
      of(({ logins }) => logins),
      1,
    ),
    ratio: round(of(({ bare, logins }) => logins / bare)),
    ratios: rounds.map(({ bare, logins }) => round(logins / bare)),
    cpuMsPerHash: round(of(({ cpuMsPerHash }) => cpuMsPerHash)),
    cpuMsPerLogin: round(of(({ cpuMsPerLogin }) => cpuMsPerLogin)),
    cpuRatio: round(of(({ cpuMsPerHash, cpuMsPerLogin }) => cpuMsPerHash / cpuMsPerLogin)),
    loginP50Ms: round(
      of(({ p50 }) => p50),
      1,
    ),
    errors: rounds.reduce((sum, { errors, quiet, storm }) => sum + errors + quiet.errors + storm.errors, 0),
    quietLoopDelayP99Ms: round(
      of(({ quietLoopMs }) => quietLoopMs),
      1,
    ),
    loopDelayP99Ms: round(
      of(({ loopMs }) => loopMs),
      1,
    ),
    others: (['p50', 'p95', 'p99'] as const).map((at) => ({
      at,
      quietMs: round(of(({ quiet }) => quiet[at])),
      stormMs: round(of(({ storm }) => storm[at])),
      times: round(of(({ quiet, storm }) => storm[at] / quiet[at])),
    })),
  }
  if (values.json === true) {
    console.log(JSON.stringify({ machine: machine(), figures }, undefined, 2))
    return
  }
  console.log(`${machine()}; medians of ${rounds.length} rounds\n`)
  console.log(
    table(
      ['', 'per second', 'of bare Argon2id', 'processor ms each', 'of bare Argon2id'],
      [
        ['bare Argon2id, a thread for each core', figures.barePerSecond, 1, figures.cpuMsPerHash, 1],
        [
          `sign-ins, ${CONNECTIONS} connections`,
          figures.loginsPerSecond,
          figures.ratio,
          figures.cpuMsPerLogin,
          figures.cpuRatio,
        ],
      ],
    ),
  )
  console.log(`\nratio by round: ${figures.ratios.join(', ')}; errors: ${figures.errors}`)
  console.log(
    `event loop, p99: ${figures.quietLoopDelayP99Ms} ms late, during the storm ${figures.loopDelayP99Ms} ms\n`,
  )
  console.log(
    table(
      [`others, ${OTHERS_PER_SECOND} requests/s`, 'quiet ms', 'storm ms', 'times'],
      figures.others.map(({ at, quietMs, stormMs, times }) => [at, quietMs, stormMs, times]),
    ),
  )
}
