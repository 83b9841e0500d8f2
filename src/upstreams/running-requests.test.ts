import type { ServerResponse } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { soon } from '../../test/support/soon.ts'
import { httpUpstream } from '../../test/support/upstreams/http-upstreams.ts'
import { rawSessionMcp, result } from '../../test/support/upstreams/raw-mcp.ts'
import { call, callerOf, converse, openTestUpstreams } from '../../test/support/upstreams/stdio-upstreams.ts'
import { manualClock } from '../../test/support/clock.ts'
import type { DirectReceiver } from './direct-route.ts'
import { RunningRequests } from './running-requests.ts'

const opened: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

describe('requests that run on a server', () => {
  it('are counted together, whether they are translated or pass as they are', async () => {
    const held: (() => void)[] = []
    const server = await rawSessionMcp((message, response: ServerResponse) => {
      if (message.method !== 'tools/call') return false
      held.push(() => void result(response, message, { content: [] }))
      return true
    })
    opened.push(() => server.close())
    const upstreams = openTestUpstreams([
      httpUpstream(
        'one',
        { url: server.url, transport: 'streamable' },
        { limits: { concurrency: 2, conversations: 2 } },
      ),
    ])
    opened.push(() => upstreams.close())
    const conversation = await converse(upstreams, 'one')
    const upstream = upstreams.upstreams.find('one')
    const outcomes: (string | undefined)[] = []
    const receiver: DirectReceiver = {
      started() {},
      headers() {},
      chunk: () => true,
      ended: () => void outcomes.push('ended'),
      failed: (fault) => void outcomes.push('code' in fault ? String(fault.code) : fault.message),
    }
    const pass = (): void =>
      upstream?.direct(callerOf('a'), 'session')?.send({
        method: 'POST',
        body: '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}',
        headers: { accept: 'application/json, text/event-stream' },
        credentialId: callerOf('a').credential.id,
        receiver,
      })

    const translated = call(conversation, 'hold')
    pass()
    await soon(() => held.length).toBe(2)
    expect(upstream?.status().running).toBe(2)
    pass()
    expect(outcomes).toEqual(['upstream_busy'])
    await expect(call(conversation, 'hold')).rejects.toMatchObject({ code: 'upstream_busy', retryAfterS: 1 })
    for (const answer of held) answer()
    await translated
    await soon(() => outcomes).toEqual(['upstream_busy', 'ended'])
    expect(upstream?.status().running).toBe(0)
  })
})

describe('the share of one credential', () => {
  const begun = (running: RunningRequests, credentialId: string, times: number): number => {
    let count = 0
    for (let n = 0; n < times; n += 1) {
      try {
        running.begin(credentialId)
        count += 1
      } catch (fault) {
        expect(fault).toMatchObject({ code: 'upstream_busy', retryAfterS: 1 })
      }
    }
    return count
  }

  it('is everything while nobody else has used the server lately', () => {
    const clock = manualClock()
    const running = new RunningRequests('one', 8, clock)
    expect(begun(running, 'a', 12)).toBe(8)
    const later = new RunningRequests('one', 8, clock)
    later.used('b')
    expect(begun(later, 'a', 6)).toBe(6)
    clock.jump(600_000)
    expect(begun(later, 'a', 6)).toBe(2)
  })

  it('is three quarters as soon as there is another', () => {
    const running = new RunningRequests('one', 8, manualClock())
    running.used('a')
    running.used('b')
    expect(begun(running, 'a', 12)).toBe(6)
    expect(begun(running, 'b', 12)).toBe(2)
  })

  it('is three quarters while somebody else runs something, however long', () => {
    const clock = manualClock()
    const running = new RunningRequests('one', 8, clock)
    running.begin('b')
    running.used('a')
    clock.jump(3_600_000)
    expect(begun(running, 'a', 12)).toBe(6)
  })

  it('is three quarters of what lasts, whoever else there is', () => {
    expect(begun(new RunningRequests('one', 8, manualClock(), 'always'), 'a', 12)).toBe(6)
    expect(begun(new RunningRequests('one', 1, manualClock(), 'always'), 'a', 12)).toBe(1)
  })

  it('comes back with each end, and is not lost among many credentials', () => {
    const running = new RunningRequests('one', 8, manualClock(), 'always')
    const held = Array.from({ length: 6 }, () => running.begin('a'))
    for (let n = 0; n < 3_000; n += 1) running.end(running.begin(`credential ${n}`))
    expect(begun(running, 'a', 3)).toBe(0)
    for (const one of held) running.end(one)
    expect(running.count).toBe(0)
    expect(begun(running, 'a', 12)).toBe(6)
  })
})
