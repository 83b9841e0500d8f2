import { describe, expect, it } from 'vitest'
import { openBackends, someone } from '../../../test/support/backends.ts'
import { manualClock } from '../../../test/support/clock.ts'
import { Lifelines } from '../../identity/lifelines.ts'
import type { Backend } from '../../tools/backend/backend.ts'
import type { ClientFacts } from '../../upstreams/conversation.ts'
import { KEPT_PER_CREDENTIAL, KeptConversations } from './kept-conversations.ts'
import { Server } from '@modelcontextprotocol/sdk/server/index.js'

const ANN = someone({}, { name: 'ann' })
const BEN = someone({}, { name: 'ben' })

const facts = (name: string): ClientFacts => ({
  clientInfo: { name, version: '1' },
  capabilities: {},
  revision: '2026-07-28',
})

function open(limit = 1_000) {
  const { backends, upstreams } = openBackends([
    { name: 'one', make: () => new Server({ name: 'one', version: '1' }, { capabilities: { tools: {} } }) },
  ])
  const found = backends.server(ANN, 'one')
  if (!found.ok) throw new Error(found.error.message)
  const clock = manualClock()
  const lifelines = new Lifelines()
  const kept = new KeptConversations(lifelines, clock, limit)
  const use = (caller = ANN, client = facts('a'), backend: Backend = found.value) => {
    const used = kept.use(caller, backend, client)
    if (!used.ok) throw new Error(used.error.code)
    return used.value
  }
  const open = () => upstreams.find('one')?.status().conversations
  return { kept, use, clock, lifelines, open, idleMs: found.value.idleMs ?? 300_000 }
}

describe('kept conversations', () => {
  it('are one for each credential and each kind of client', () => {
    const { kept, use } = open()
    const first = use()
    expect(use()).toBe(first)
    expect(use(BEN)).not.toBe(first)
    expect(use(ANN, facts('b'))).not.toBe(first)
    expect(use(ANN, { ...facts('a'), capabilities: { roots: {} } })).not.toBe(first)
    expect(kept.size).toBe(4)
  })

  it('are let go when nobody has used them for long enough, and not while somebody does', async () => {
    const { kept, use, clock, open: conversations, idleMs } = open()
    const busy = use(BEN)
    const idle = use()
    await idle.live.get(ANN, 'request')
    await busy.live.get(BEN, 'request')
    expect(conversations()).toBe(2)
    kept.release(idle)
    clock.advance(idleMs + 10_000)
    expect([kept.size, conversations()]).toEqual([1, 1])
    kept.release(busy)
    clock.advance(idleMs + 10_000)
    expect([kept.size, conversations()]).toEqual([0, 0])
  })

  it('end with their credential, and when what it may do changes', async () => {
    for (const reason of ['revoked', 'changed'] as const) {
      const { kept, use, lifelines, open: conversations } = open()
      await use().live.get(ANN, 'request')
      use(BEN)
      lifelines.end(ANN.credential.id, reason)
      expect([kept.size, conversations()]).toEqual([1, 0])
      expect(lifelines.holds(ANN.credential.id)).toBe(false)
    }
  })

  it('are bounded: a credential gives up one that is idle, or is refused', () => {
    const { kept, use } = open()
    const all = Array.from({ length: KEPT_PER_CREDENTIAL }, (_, at) => use(ANN, facts(`client ${at}`)))
    expect(() => use(ANN, facts('one more'))).toThrow('too_many_sessions')
    use(BEN)
    const idle = all[7]
    if (idle) kept.release(idle)
    use(ANN, facts('one more'))
    expect(kept.size).toBe(KEPT_PER_CREDENTIAL + 1)
    expect(use(ANN, facts('client 8'))).toBe(all[8])
  })

  it('are bounded in all, and nobody loses one to another credential', () => {
    const { kept, use } = open(2)
    kept.release(use())
    kept.release(use(ANN, facts('b')))
    expect(() => use(BEN)).toThrow('too_many_sessions')
    use(ANN, facts('c'))
    expect(kept.size).toBe(2)
  })
})
