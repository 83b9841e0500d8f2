import { createServer, request as get, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { manualClock } from '../../../test/support/clock.ts'
import { soon } from '../../../test/support/soon.ts'
import { EventStream } from '../event-stream.ts'
import { Channel, readEventId } from './channel.ts'
import { ReplayBudget, ReplayLog, RESUME_MS, SESSION_REPLAY_BYTES } from './replay-log.ts'

const closing: (() => void)[] = []
afterEach(() => {
  for (const close of closing.splice(0)) close()
})

interface Connection {
  readonly stream: EventStream
  /** What has arrived. */
  readonly text: () => string
  /** The other end, which reads only while it is told to. */
  readonly incoming: IncomingMessage
}

/** A real response, and the client that reads it. */
async function connection({
  reads = true,
  closed,
}: { readonly reads?: boolean; readonly closed?: (stream: EventStream) => void } = {}): Promise<Connection> {
  let handed: ((response: ServerResponse) => void) | undefined
  const response = new Promise<ServerResponse>((resolve) => (handed = resolve))
  const server = createServer((_, reply) => handed?.(reply))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  const asked = get({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' })
  const arriving = new Promise<IncomingMessage>((resolve) => asked.on('response', resolve))
  asked.end()
  const stream: EventStream = new EventStream(await response, () => closed?.(stream))
  const incoming = await arriving
  incoming.on('error', () => undefined)
  let text = ''
  incoming.setEncoding('utf8')
  if (reads) incoming.on('data', (chunk: string) => (text += chunk))
  return { stream, incoming, text: () => text }
}

const log = (clock = manualClock(), budget = new ReplayBudget()): ReplayLog => new ReplayLog(budget, clock)

describe('a channel', () => {
  it('tells what was said before anybody listened, once', async () => {
    const channel = new Channel('a', log(), false)
    channel.send('"one"')
    channel.send('"two"', true)
    const first = await connection()
    channel.connect(first.stream)
    await soon(first.text).toContain('id: a.1\nevent: message\ndata: "one"\n\n')
    expect(first.text()).not.toContain('two')
    channel.disconnected(first.stream, 0)
    const second = await connection()
    channel.connect(second.stream)
    channel.send('"three"')
    await soon(second.text).toContain('id: a.2\nevent: message\ndata: "three"\n\n')
    expect(second.text()).not.toContain('one')
  })

  it('says again what a client has not got, and only what was said here', async () => {
    const shared = log()
    const channel = new Channel('a', shared, true)
    const other = new Channel('b', shared, true)
    for (const text of ['"one"', '"two"', '"three"']) {
      channel.send(text)
      other.send('"elsewhere"')
    }
    const back = await connection()
    channel.connect(back.stream, 1)
    await soon(back.text).toBe(
      'id: a.1\nretry: 1000\ndata: \n\nid: a.2\nevent: message\ndata: "two"\n\nid: a.3\nevent: message\ndata: "three"\n\n',
    )
  })

  it('says each thing on one connection, the newest, and has few', async () => {
    const channel = new Channel('a', log(), false)
    const all = await Promise.all(
      Array.from({ length: 6 }, () => connection({ closed: (stream) => channel.disconnected(stream, 0) })),
    )
    for (const { stream } of all) channel.connect(stream)
    expect(all.map(({ stream }) => stream.open)).toEqual([false, false, true, true, true, true])
    channel.send('"news"')
    await soon(() => all.at(-1)?.text()).toContain('"news"')
    for (const { text } of all.slice(0, -1)) expect(text()).not.toContain('news')
  })

  it('ends at once for who comes back after its answer', async () => {
    const channel = new Channel('a', log(), false)
    channel.send('"answer"')
    channel.finished = true
    const late = await connection()
    channel.connect(late.stream, 0)
    expect(late.stream.open).toBe(false)
    await soon(late.text).toContain('"answer"')
  })

  it('leaves out what can be missed while its reader is slow, and nothing else', async () => {
    const slow = await connection({ reads: false })
    const channel = new Channel('a', log(), false)
    channel.connect(slow.stream)
    const progress = JSON.stringify('p'.repeat(10_000))
    for (let sent = 0; sent < 5_000; sent += 1) channel.send(progress, true)
    expect(slow.stream.open).toBe(true)
    expect(slow.stream.waiting).toBeLessThan(400_000)
    channel.send('"answer"')
    let text = ''
    slow.incoming.on('data', (chunk: string) => (text = (text + chunk).slice(-1_000)))
    await soon(() => text).toContain('"answer"')
  })

  it('without a log gives its events no ids', async () => {
    const channel = new Channel('0', undefined, false)
    const only = await connection()
    channel.connect(only.stream)
    channel.send('"news"')
    await soon(only.text).toContain('event: message\ndata: "news"\n\n')
    expect(only.text()).not.toContain('id: ')
    expect(channel.resumable).toBe(false)
  })
})

describe('event ids', () => {
  it('are read as they were written', () => {
    expect(readEventId('0.0')).toEqual({ channel: '0', seq: 0 })
    expect(readEventId('1z.zz')).toEqual({ channel: '1z', seq: 1_295 })
    for (const odd of ['', '0', '.1', '0.', 'a.b.c', 'A.1', '0.-1', `${'a'.repeat(13)}.1`]) {
      expect(readEventId(odd)).toBeUndefined()
    }
  })
})

describe('what is kept', () => {
  it('is forgotten after a while', () => {
    const clock = manualClock()
    const kept = log(clock)
    kept.add('a', 1, 'x')
    clock.advance(RESUME_MS - 1)
    kept.add('a', 2, 'y')
    expect(kept.after('a', 0)).toHaveLength(2)
    clock.advance(1)
    kept.forgetOld()
    expect(kept.after('a', 0)).toMatchObject([{ seq: 2 }])
  })

  it('is bounded for a session, the oldest going first', () => {
    const budget = new ReplayBudget()
    const kept = log(manualClock(), budget)
    const quarter = 'x'.repeat(SESSION_REPLAY_BYTES / 4)
    for (let seq = 1; seq <= 10; seq += 1) kept.add('a', seq, quarter)
    expect(kept.after('a', 0).map(({ seq }) => seq)).toEqual([7, 8, 9, 10])
    expect(budget.used).toBe(SESSION_REPLAY_BYTES)
    kept.add('a', 11, 'x'.repeat(SESSION_REPLAY_BYTES + 1))
    expect(kept.after('a', 10)).toEqual([])
    kept.clear()
    expect([budget.used, kept.empty]).toEqual([0, true])
  })

  it('is bounded for all sessions together, and no session pays for another', () => {
    const budget = new ReplayBudget(1_000)
    const clock = manualClock()
    const [one, two] = [log(clock, budget), log(clock, budget)]
    one.add('a', 1, 'x'.repeat(900))
    two.add('a', 1, 'y'.repeat(90))
    two.add('a', 2, 'z'.repeat(90))
    expect(one.after('a', 0)).toHaveLength(1)
    expect(two.after('a', 0).map(({ seq }) => seq)).toEqual([2])
    expect(budget.used).toBe(990)
  })
})
