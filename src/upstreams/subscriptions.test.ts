import { describe, expect, it } from 'vitest'
import { systemClock } from '../lib/clock.ts'
import type { Answer, Conversation } from './conversation.ts'
import { ChannelLink } from './channel-link.ts'
import { openSessionConversation } from './session-conversation.ts'
import { Subscriptions } from './subscriptions.ts'

const URI = 'test://one'
const YES: Answer = { kind: 'result', result: {} }
const NO: Answer = { kind: 'error', error: { code: -32_602, message: 'no' } }

/** Subscriptions at a server that answers when it is told to, and what it was asked. */
function server() {
  const asked: { readonly method: string; readonly answer: (answer: Answer | Error) => void }[] = []
  const subscriptions = new Subscriptions((method) => {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    asked.push({ method, answer: (answer) => (answer instanceof Error ? reject(answer) : resolve(answer)) })
    return promise
  })
  const methods = (): readonly string[] => asked.map(({ method }) => method)
  return {
    subscriptions,
    methods,
    answer: (answer: Answer | Error) => asked.at(-1)?.answer(answer),
    answerFirst: (answer: Answer) => asked[0]?.answer(answer),
  }
}

describe('subscriptions of several conversations', () => {
  it('are asked for once, and all who joined learn what the server said', async () => {
    const { subscriptions, methods, answer } = server()
    const both = [subscriptions.add(URI, 'a'), subscriptions.add(URI, 'a')]
    answer(NO)
    expect(await Promise.all(both)).toEqual([NO, NO])
    const again = subscriptions.add(URI, 'a')
    answer(YES)
    expect(await again).toEqual(YES)
    expect(methods()).toEqual(['resources/subscribe', 'resources/subscribe'])
  })

  it('leave room for others, whatever one credential subscribes to', async () => {
    const subscriptions = new Subscriptions(() => Promise.resolve(YES))
    const add = (uri: string, owner: string) => subscriptions.add(uri, owner)
    const taken = await Promise.all(Array.from({ length: 7_501 }, (_, n) => add(`test://${n}`, 'a')))
    expect(taken.filter(({ kind }) => kind === 'result').length).toBe(7_500)
    expect(await add('test://else', 'b')).toEqual(YES)
    // What is subscribed to already costs nothing, and what is left is free again.
    expect(await add('test://else', 'a')).toEqual(YES)
    await subscriptions.remove('test://0')
    expect(await add('test://again', 'a')).toEqual(YES)
    expect(await add('test://one more', 'a')).toMatchObject({ kind: 'error' })
  })

  it('are asked for again after a fault', async () => {
    const { subscriptions, methods, answer } = server()
    const both = [subscriptions.add(URI, 'a'), subscriptions.add(URI, 'a')]
    answer(new Error('away'))
    expect((await Promise.allSettled(both)).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    const again = subscriptions.add(URI, 'a')
    answer(YES)
    await again
    expect(methods()).toHaveLength(2)
  })

  it('are taken back by the last who leaves', async () => {
    const { subscriptions, methods, answer } = server()
    const both = [subscriptions.add(URI, 'a'), subscriptions.add(URI, 'a')]
    answer(YES)
    await Promise.all(both)
    expect(await subscriptions.remove(URI)).toEqual(YES)
    expect(methods()).toEqual(['resources/subscribe'])
    const last = subscriptions.remove(URI)
    answer(YES)
    await last
    expect(methods()).toEqual(['resources/subscribe', 'resources/unsubscribe'])
    expect(await subscriptions.remove(URI)).toEqual(YES)
    expect(methods()).toHaveLength(2)
  })

  it('of one who left before the answer take nothing from whoever came next', async () => {
    const { subscriptions, methods, answer, answerFirst } = server()
    const first = subscriptions.add(URI, 'a')
    const left = subscriptions.remove(URI)
    answer(YES)
    await left
    const next = subscriptions.add(URI, 'a')
    answer(YES)
    await next
    answerFirst(NO)
    expect(await first).toEqual(NO)
    const over = subscriptions.remove(URI)
    answer(YES)
    await over
    expect(methods().filter((method) => method === 'resources/unsubscribe')).toHaveLength(2)
  })
})

/** A conversation with a server that answers requests as it is told. */
async function converseWith(answers: Record<string, unknown[]>): Promise<Conversation> {
  const link: ChannelLink = new ChannelLink({
    send(text) {
      const { id, method } = JSON.parse(text) as { readonly id?: number; readonly method: string }
      const result =
        method === 'initialize'
          ? { protocolVersion: '2025-11-25', capabilities: { resources: { subscribe: true } } }
          : (answers[method]?.shift() ?? {})
      if (id !== undefined) queueMicrotask(() => link.receive(JSON.stringify({ jsonrpc: '2.0', id, result })))
    },
    close() {},
  })
  return await openSessionConversation(link, {
    server: 'scripted',
    client: { clientInfo: {}, capabilities: {}, revision: '2025-11-25' },
    inbox: { notification() {}, ask: () => Promise.reject(new Error('nobody')), ended() {} },
    signal: new AbortController().signal,
    clock: systemClock,
    timeoutMs: 5_000,
  })
}

describe('a conversation whose server breaks a subscription', () => {
  const request = (conversation: Conversation) =>
    conversation.request({
      method: 'resources/subscribe',
      params: { uri: URI },
      signal: new AbortController().signal,
    })

  it('asks again when its client does', async () => {
    const answers = { 'resources/subscribe': ['no object'] as unknown[] }
    const conversation = await converseWith(answers)
    await expect(request(conversation)).rejects.toMatchObject({ code: 'upstream_invalid' })
    answers['resources/subscribe'].push('no object')
    await expect(request(conversation)).rejects.toMatchObject({ code: 'upstream_invalid' })
    expect(await request(conversation)).toEqual(YES)
  })

  it('listens to what the server agreed to, and to nothing else', async () => {
    const conversation = await converseWith({ 'resources/subscribe': [{}, 'no object'] })
    const wanted = { resourceSubscriptions: ['test://one', 'test://two'] }
    await expect(conversation.listen(wanted)).rejects.toMatchObject({ code: 'upstream_invalid' })
    expect(await conversation.listen(wanted)).toEqual(wanted)
  })

  it('makes choices one after the other, so that the last one counts', async () => {
    const conversation = await converseWith({})
    const choose = (uri: string) => conversation.listen({ resourceSubscriptions: [uri] })
    expect(await Promise.all(['test://one', 'test://two'].map(choose))).toEqual([
      { resourceSubscriptions: ['test://one'] },
      { resourceSubscriptions: ['test://two'] },
    ])
  })
})
