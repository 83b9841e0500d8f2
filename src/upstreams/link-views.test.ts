import { describe, expect, it } from 'vitest'
import type { Params } from '../lib/json-rpc.ts'
import { ChannelLink } from './channel-link.ts'
import type { RpcLink, ServerMessage } from './link.ts'
import { LinkViews } from './link-views.ts'

interface Sent {
  readonly id: number
  readonly method: string
  readonly params: Params & { readonly _meta?: Params }
}

/** Two views of one stream, and what each of them hears. */
function twoViews(strangers: boolean) {
  const sent: Sent[] = []
  const link = new ChannelLink({ send: (text) => void sent.push(JSON.parse(text) as Sent), close() {} })
  const views = new LinkViews(link, strangers)
  const view = () => {
    const heard: ServerMessage[] = []
    const one = views.view(() => undefined)
    one.listen({ message: (message) => void heard.push(message), closed() {} })
    return { heard, request: (method: string, params: Params = {}) => request(one, method, params) }
  }
  const request = (on: RpcLink, method: string, params: Params): Sent => {
    const { answer } = on.request({ method, params }, { signal: new AbortController().signal })
    answer.catch(() => undefined)
    return sent.at(-1) as Sent
  }
  const say = (message: object): void => {
    link.receive(JSON.stringify({ jsonrpc: '2.0', ...message }))
  }
  return { one: view(), two: view(), say }
}

const progress = (progressToken: unknown) => ({
  method: 'notifications/progress',
  params: { progressToken, progress: 1 },
})

describe('several conversations on one stream', () => {
  it('each hear of their own progress, by the token they gave', () => {
    const { one, two, say } = twoViews(true)
    const first = one.request('tools/call', { _meta: { progressToken: 1 } })
    const second = two.request('tools/call', { _meta: { progressToken: 1 } })
    say(progress(second.params._meta?.['progressToken']))
    expect(one.heard).toEqual([])
    expect(two.heard).toEqual([{ kind: 'notification', ...progress(1) }])
    say({ id: first.id, result: {} })
    say(progress(1))
    expect(one.heard).toEqual([])
  })

  it('hear nothing of a request that is over', async () => {
    const { one, say } = twoViews(false)
    const { id, params } = one.request('tools/call', { _meta: { progressToken: 1 } })
    say({ id, result: {} })
    await Promise.resolve()
    say(progress(params._meta?.['progressToken']))
    expect(one.heard).toEqual([])
  })

  it.each([true, false])('are told when their subscription is ended (strangers: %s)', (strangers) => {
    const { one, two, say } = twoViews(strangers)
    const { id } = one.request('subscriptions/listen')
    two.request('tools/call')
    const ended = { method: 'notifications/cancelled', params: { requestId: id } }
    say(ended)
    expect(one.heard).toEqual([{ kind: 'notification', ...ended }])
    expect(two.heard).toEqual([])
  })

  it('hear what names nobody when it can only be theirs, and never among strangers', () => {
    const log = { method: 'notifications/message', params: { level: 'info', data: 'x' } }
    const known = twoViews(false)
    known.one.request('tools/call')
    known.two.request('tools/call')
    known.one.request('subscriptions/listen')
    known.say(log)
    expect([known.one.heard.length, known.two.heard.length]).toEqual([0, 1])
    const strange = twoViews(true)
    strange.one.request('tools/call')
    strange.say(log)
    expect([strange.one.heard.length, strange.two.heard.length]).toEqual([0, 0])
  })
})
