import type { ServerResponse } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { soon } from '../../test/support/soon.ts'
import { httpUpstream } from '../../test/support/upstreams/http-upstreams.ts'
import { rawSessionMcp, result } from '../../test/support/upstreams/raw-mcp.ts'
import { call, callerOf, converse, openTestUpstreams } from '../../test/support/upstreams/stdio-upstreams.ts'
import type { DirectReceiver } from './direct-route.ts'

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
