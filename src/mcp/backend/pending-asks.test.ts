import { describe, expect, it } from 'vitest'
import { manualClock } from '../../../test/support/clock.ts'
import { ASK_LIMIT_MS, ASKS_PER_CLIENT, PendingAsks } from './pending-asks.ts'

function asks() {
  const clock = manualClock()
  const sent: { id: string; method: string; params?: Record<string, unknown> }[] = []
  const pending = new PendingAsks(clock)
  const ask = (signal = new AbortController().signal) =>
    pending.ask(
      'roots/list',
      {},
      signal,
      (message) => void sent.push(JSON.parse(message) as (typeof sent)[number]),
    )
  return { clock, sent, pending, ask }
}

describe('questions to a client', () => {
  it('have ids that cannot be guessed, and each gets its own answer', async () => {
    const { sent, pending, ask } = asks()
    const [one, two] = [ask(), ask()]
    expect(new Set(sent.map(({ id }) => id)).size).toBe(2)
    for (const { id } of sent) expect(id).toMatch(/^[\w-]{22}$/)
    pending.answer(sent[1]?.id, { kind: 'result', result: { second: true } })
    pending.answer(sent[0]?.id, { kind: 'result', result: { first: true } })
    expect(await one).toMatchObject({ result: { first: true } })
    expect(await two).toMatchObject({ result: { second: true } })
    pending.answer(sent[0]?.id, { kind: 'result', result: { again: true } })
  })

  it('get an error for an answer that is none', async () => {
    const { sent, pending, ask } = asks()
    const answer = ask()
    for (const id of ['', 'unknown', 7, null, undefined, '__proto__']) pending.answer(id, undefined)
    pending.answer(sent[0]?.id, undefined)
    expect(await answer).toMatchObject({ kind: 'error', error: { code: -32603 } })
  })

  it('are taken back when nobody waits for them any more', async () => {
    const { sent, ask } = asks()
    const asker = new AbortController()
    const answer = ask(asker.signal)
    asker.abort()
    expect(await answer).toMatchObject({ kind: 'error' })
    expect(sent[1]).toMatchObject({
      method: 'notifications/cancelled',
      params: { requestId: sent[0]?.id },
    })
    expect(await ask(asker.signal)).toMatchObject({ kind: 'error' })
    expect(sent).toHaveLength(2)
  })

  it('wait as long as a person may take, and no longer', async () => {
    const { clock, sent, ask } = asks()
    const answer = ask()
    clock.advance(ASK_LIMIT_MS - 1)
    expect(sent).toHaveLength(1)
    clock.advance(1)
    expect(await answer).toMatchObject({ error: { message: 'the client took too long to answer' } })
    expect(sent[1]).toMatchObject({ method: 'notifications/cancelled' })
  })

  it('are few at a time', async () => {
    const { sent, pending, ask } = asks()
    const all = Array.from({ length: ASKS_PER_CLIENT }, () => ask())
    expect(await ask()).toMatchObject({ kind: 'error' })
    expect(sent).toHaveLength(ASKS_PER_CLIENT)
    pending.close()
    for (const one of all) expect(await one).toMatchObject({ error: { message: 'the client is gone' } })
  })
})
