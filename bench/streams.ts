/**
 * Many open event streams on one Postern process: memory of each, time until a notification is on all of them, and
 * what a client that reads nothing of a flood costs the others.
 *
 *     node bench/streams.ts [--json] [--streams 10000] [--rounds 3]
 *
 * Clients live in a process of their own. Memory is that of the gateway's process, from a tenth of the streams to all,
 * so that what it takes anyway does not count. More files than the system allows by default are opened: run as a user
 * who may raise the limit, or raise it before.
 */
import { fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { freePort, start, type Started } from './support/peers.ts'
import { OTHER_AUTHORIZATION, startPostern } from './support/postern.ts'
import { sessionCall } from './support/session-call.ts'
import type { StreamOrder, StreamReport } from './support/stream-worker.ts'
import { machine, median, round, table } from './support/table.ts'

const { values } = parseArgs({
  options: { json: { type: 'boolean' }, streams: { type: 'string' }, rounds: { type: 'string' } },
})
const streams = Number(values.streams ?? 10_000)
const rounds = Number(values.rounds ?? 3)

const scratch = await mkdtemp(join(tmpdir(), 'postern-bench-'))
const started: Started[] = []
const seconds = (): number => Number(process.hrtime.bigint()) / 1e9

const clients = fork(fileURLToPath(new URL('support/stream-worker.ts', import.meta.url)), [], {
  stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
})
const order = (message: StreamOrder): void => void clients.send(message)
const reports: StreamReport[] = []
clients.on('message', (report) => reports.push(report as StreamReport))

try {
  const upstreamPort = await freePort()
  const upstream = await start(
    process.execPath,
    [fileURLToPath(new URL('support/static-http.ts', import.meta.url)), String(upstreamPort)],
    upstreamPort,
    { cwd: scratch },
  )
  started.push(upstream)
  const stdio = fileURLToPath(new URL('support/static-stdio.ts', import.meta.url))
  const postern = await startPostern(scratch, [
    'limits:',
    `  sessions: ${streams * 2}`,
    `  sessionsPerCredential: ${streams * 2}`,
    'mcpServers:',
    '  parts:',
    `    command: ${JSON.stringify(process.execPath)}`,
    `    args: [${JSON.stringify(stdio)}]`,
    '    process: shared',
    '    conversations: 10000',
    '    level: read-only',
    // Not for those who listen to all servers at once: its noise would be on each of their streams.
    '  loud:',
    '    authTokens: [other]',
    `    url: http://127.0.0.1:${upstreamPort}/flood`,
    '    transport: streamable',
    '    level: read-only',
  ])
  started.push(postern)
  const gateway = gatewayOf(postern.pid)
  // What the loud server speaks has to be known before its messages pass as they are.
  await sessionCall(postern.port, '/loud/mcp', OTHER_AUTHORIZATION)

  const openUpTo = async (count: number): Promise<number> => {
    order({ kind: 'open', port: postern.port, path: '/mcp', streams: count })
    await report('opened', 300)
    // What opening left behind is collected in the seconds after.
    await sleep(8_000)
    return residentBytes(gateway)
  }
  const few = Math.ceil(streams / 10)
  const before = await openUpTo(few)
  const after = await openUpTo(streams - few)
  const bytesPerStream = (after - before) / (streams - few)

  const delivered: number[] = []
  const perStream: number[] = []
  for (let index = 0; index < rounds; index += 1) {
    const { spread } = await notifyAll(postern, index)
    delivered.push(spread * 1_000)
    perStream.push((spread * 1e6) / streams)
  }

  await sleep(5_000)
  const quiet = residentBytes(gateway)
  order({ kind: 'open-deaf', port: postern.port, path: '/loud/mcp' })
  await report('deaf-opened', 30)
  const deafSince = seconds()
  await sleep(3_000)
  const held = residentBytes(gateway) - quiet
  const beside = await notifyAll(postern, rounds)
  const deafForS = await untilCut(postern, deafSince)
  const lost = reports.filter(({ kind }) => kind === 'lost').length

  const rows: readonly (readonly [string, number])[] = [
    ['streams', streams],
    ['resident memory of the gateway, MB', round(after / 1e6, 0)],
    ['memory per stream, KB', round(bytesPerStream / 1e3, 1)],
    ['one notification to all, from the first to the last, ms', round(median(delivered), 0)],
    ['the same per stream, µs', round(median(perStream), 1)],
    ['memory more while one client reads nothing of a flood, MB', round(held / 1e6, 1)],
    ['one notification to all in that time, ms', round(beside.spread * 1_000, 0)],
    ['the client that reads nothing is cut off after, s', round(deafForS, 1)],
    ['other streams lost', lost],
  ]
  if (values.json === true) {
    console.log(
      JSON.stringify({ machine: machine(), rounds, figures: Object.fromEntries(rows) }, undefined, 2),
    )
  } else {
    console.log(`${machine()}; median of ${rounds} rounds\n`)
    console.log(table(['what', 'figure'], rows))
  }
} finally {
  clients.kill()
  for (const one of started.toReversed()) await one.stop()
  await rm(scratch, { recursive: true, force: true })
}

/** Changes which tools there are, and waits until every stream has heard of it. */
async function notifyAll(postern: Started, index: number): Promise<{ readonly spread: number }> {
  order({ kind: 'await-event' })
  const file = join(scratch, `postern-${postern.port}`, 'postern.yaml')
  const text = await readFile(file, 'utf8')
  const filter = `    toolFilter: { mode: deny, tools: [none-${index}] }\n`
  const plain = text.replace(/ {4}toolFilter: .*\n/, '')
  await writeFile(file, plain.replace('    process: shared\n', `    process: shared\n${filter}`), {
    mode: 0o600,
  })
  const { first, last } = await report('arrived', 120)
  await sleep(1_000)
  return { spread: last - first }
}

/** A client that reads nothing does not notice either: the gateway's log tells when its request was over. */
async function untilCut(postern: Started, since: number): Promise<number> {
  const log = join(scratch, `postern-${postern.port}`, `${postern.port}.log`)
  for (;;) {
    const lines = (await readFile(log, 'utf8')).split('\n')
    if (lines.some((line) => line.includes('"server":"loud","method":"GET"'))) return seconds() - since
    if (seconds() - since > 120) throw new Error('the client that reads nothing was not cut off within 120 s')
    await sleep(100)
  }
}

/** Waits for a report of that kind, the next one after those that were taken. */
async function report<K extends StreamReport['kind']>(
  kind: K,
  withinS: number,
): Promise<Extract<StreamReport, { readonly kind: K }>> {
  const until = seconds() + withinS
  for (;;) {
    const at = reports.findIndex((one) => one.kind === kind)
    if (at !== -1) return reports.splice(at, 1)[0] as Extract<StreamReport, { readonly kind: K }>
    if (clients.exitCode !== null) throw new Error(`the clients ended with ${clients.exitCode}`)
    if (seconds() > until)
      throw new Error(
        `no "${kind}" within ${withinS} s; the last reports: ${JSON.stringify(reports.slice(-3))}`,
      )
    await sleep(20)
  }
}

/** The process that serves: the command starts it as its only child where it has to choose another Node. */
function gatewayOf(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ')
  const first = Number(children[0])
  return first > 0 && residentBytes(first) > residentBytes(pid) ? first : pid
}

function residentBytes(pid: number): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1])
  return pages * 4_096
}
