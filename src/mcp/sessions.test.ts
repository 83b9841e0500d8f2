import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { manualClock, type ManualClock } from '../../test/support/clock.ts'
import {
  EventReader,
  initialize,
  type McpHarness,
  mcpHarness,
  request,
} from '../../test/support/mcp-harness.ts'
import { soon } from '../../test/support/soon.ts'

const IDLE_MS = 60_000
const STREAM = { accept: 'text/event-stream' }

describe('sessions', () => {
  let mcp: McpHarness
  let clock: ManualClock
  beforeEach(async () => {
    clock = manualClock()
    mcp = await mcpHarness({
      clock,
      limits: { sessionsPerCredential: 3, sessions: 5, sessionIdleMs: IDLE_MS },
    })
  })
  afterEach(() => mcp.close())

  const use = async (session: string, name?: string) =>
    await mcp.post(request('tools/list'), { 'mcp-session-id': session }, name)

  it('serve the credential that opened them', async () => {
    const session = await mcp.open()
    expect((await use(session)).status).toBe(200)
  })

  it('do not exist for another credential: the same answer as for an invented and an ended id', async () => {
    const session = await mcp.open()
    const ended = await mcp.open()
    expect((await mcp.send('DELETE', '/mcp', { 'mcp-session-id': ended })).status).toBe(204)
    const answers = await Promise.all([
      use(session, 'other'),
      use('A'.repeat(session.length), 'other'),
      use('x', 'other'),
      use(ended, 'reader'),
    ])
    expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
    expect(answers[0]?.status).toBe(404)
    expect((await mcp.send('DELETE', '/mcp', { 'mcp-session-id': session }, 'other')).status).toBe(404)
    expect((await mcp.send('GET', '/mcp', { ...STREAM, 'mcp-session-id': session }, 'other')).status).toBe(
      404,
    )
    expect((await use(session)).status).toBe(200)
  })

  it('are never taken over from a client (fixation)', async () => {
    const planted = await mcp.post(initialize('2025-11-25'), { 'mcp-session-id': 'planted' })
    expect([planted.status, planted.headers.has('mcp-session-id')]).toEqual([404, false])
    const session = await mcp.open()
    const again = await mcp.post(initialize('2025-11-25'), { 'mcp-session-id': session })
    expect([again.status, again.json.error?.code]).toEqual([400, -32600])
  })

  it('have ids that cannot be guessed', async () => {
    const ids = new Set<string>()
    for (let count = 0; count < 20; count += 1) ids.add(await mcp.open())
    expect(ids.size).toBe(20)
    for (const id of ids) expect(Buffer.from(id, 'base64url').length).toBe(24)
  })

  it('end when they were idle for long enough, by use and by themselves', async () => {
    const used = await mcp.open()
    await mcp.open()
    clock.advance(IDLE_MS - 1)
    expect((await use(used)).status).toBe(200)
    clock.advance(IDLE_MS / 2)
    expect(mcp.endpoint.counts().sessions).toBe(1)
    clock.advance(IDLE_MS)
    expect(mcp.endpoint.counts().sessions).toBe(0)
    expect((await use(used)).status).toBe(404)
    expect(mcp.lifelines.size).toBe(0)
  })

  it('make room for a new one by ending the longest idle of the same credential', async () => {
    const first = await mcp.open()
    clock.advance(1)
    const second = await mcp.open()
    clock.advance(1)
    await mcp.open()
    clock.advance(1)
    await use(first)
    const fourth = await mcp.open()
    expect((await use(second)).status).toBe(404)
    expect((await use(first)).status).toBe(200)
    expect((await use(fourth)).status).toBe(200)
  })

  it('are refused with 429 when all of the credential are in use, or all there may be are', async () => {
    for (let count = 0; count < 3; count += 1) {
      const session = await mcp.open()
      expect((await mcp.send('GET', '/mcp', { ...STREAM, 'mcp-session-id': session })).status).toBe(200)
    }
    const busy = await mcp.post(initialize('2025-11-25'))
    expect([busy.status, busy.json.error?.data?.rule]).toEqual([429, 'limits.sessionsPerCredential'])
    expect(busy.headers.get('retry-after')).toBe('1')
    await mcp.open('2025-11-25', 'second')
    await mcp.open('2025-11-25', 'second')
    const full = await mcp.post(initialize('2025-11-25'), {}, 'third')
    expect([full.status, full.json.error?.data?.rule]).toEqual([429, 'limits.sessions'])
    expect(mcp.endpoint.counts().sessions).toBe(5)
    clock.advance(IDLE_MS)
    expect((await mcp.post(initialize('2025-11-25'), {}, 'third')).status).toBe(200)
  })

  it('never cost another credential one of its own', async () => {
    const mine = await mcp.open('2025-11-25', 'reader')
    clock.advance(1)
    for (let count = 0; count < 30; count += 1) await mcp.post(initialize('2025-11-25'), {}, 'flooder')
    expect((await use(mine)).status).toBe(200)
    expect(mcp.endpoint.counts().sessions).toBe(4)
  })

  it('and their streams end at once with their credential, and only those', async () => {
    const mine = await mcp.open('2025-11-25', 'leaving')
    const other = await mcp.open('2025-11-25', 'staying')
    const stream = await mcp.send('GET', '/mcp', { ...STREAM, 'mcp-session-id': mine }, 'leaving')
    await mcp.send('GET', '/mcp', { ...STREAM, 'mcp-session-id': other }, 'staying')
    mcp.revoke('leaving')
    expect(await new EventReader(stream).next()).toBeUndefined()
    expect(mcp.endpoint.counts()).toEqual({ sessions: 1, streams: 1 })
    expect((await use(mine, 'leaving')).status).toBe(401)
    expect((await use(other, 'staying')).status).toBe(200)
  })

  it('outlive a change of the grant; their streams tell of it and come back', async () => {
    const session = await mcp.open('2025-11-25', 'promoted')
    const events = new EventReader(
      await mcp.send('GET', '/mcp', { ...STREAM, 'mcp-session-id': session }, 'promoted'),
    )
    mcp.regrant('promoted', { level: 'admin' })
    expect(await events.json()).toEqual({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' })
    expect(await events.next()).toBeUndefined()
    expect((await use(session, 'promoted')).status).toBe(200)
    mcp.revoke('promoted')
    expect(mcp.endpoint.counts().sessions).toBe(0)
  })

  it('have one stream that is told, and few in all', async () => {
    const session = await mcp.open()
    const streams: EventReader[] = []
    for (let count = 0; count < 5; count += 1) {
      streams.push(new EventReader(await mcp.send('GET', '/mcp', { ...STREAM, 'mcp-session-id': session })))
    }
    expect(mcp.endpoint.counts().streams).toBe(4)
    expect(await streams[0]?.next()).toBeUndefined()
    mcp.endpoint.toolsChanged()
    expect((await streams[4]?.json())?.method).toBe('notifications/tools/list_changed')
    mcp.revoke('reader')
    for (const stream of streams.slice(1, 4)) expect(await stream.next()).toBeUndefined()
  })

  it('are kept by an open stream, which is kept alive by comments', async () => {
    const session = await mcp.open()
    const response = await mcp.send('GET', '/mcp', { ...STREAM, 'mcp-session-id': session })
    clock.advance(IDLE_MS * 3)
    expect(mcp.endpoint.counts().sessions).toBe(1)
    const reader = response.body!.getReader()
    const comments = new TextDecoder().decode((await reader.read()).value)
    expect(comments).toMatch(/^(:\n\n)+$/)
    await reader.cancel()
    await soon(() => mcp.endpoint.counts().streams).toBe(0)
    clock.advance(IDLE_MS / 2)
    expect(mcp.endpoint.counts().sessions).toBe(1)
    clock.advance(IDLE_MS)
    expect(mcp.endpoint.counts().sessions).toBe(0)
  })

  it('end when the endpoint closes; what comes later is told so', async () => {
    const session = await mcp.open()
    const stream = await mcp.send('GET', '/mcp', { ...STREAM, 'mcp-session-id': session })
    mcp.endpoint.close()
    expect(await new EventReader(stream).next()).toBeUndefined()
    expect(mcp.endpoint.counts()).toEqual({ sessions: 0, streams: 0 })
    expect(mcp.lifelines.size).toBe(0)
    const late = await mcp.post(request('tools/list'))
    expect([late.status, late.json.error?.data?.code]).toEqual([503, 'shutting_down'])
    expect(clock.waiting).toBe(0)
  })
})
