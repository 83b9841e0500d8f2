import { describe, expect, it } from 'vitest'
import { manualClock } from '../../test/support/clock.ts'
import { testInbox } from '../../test/support/upstreams/stdio-upstreams.ts'
import { Fault } from '../lib/fault.ts'
import { ChangeStream } from './change-stream.ts'
import type { RpcResponse } from './link.ts'

describe('a subscription on a stream that others share', () => {
  it('fails at once when the server ends it before it began', async () => {
    const clock = manualClock()
    const cancelled: unknown[] = []
    const changes = new ChangeStream({
      server: 'shared',
      clock,
      timeoutMs: 30_000,
      inbox: testInbox(),
      open: (_params, signal) => ({
        id: 7,
        answer: new Promise<RpcResponse>((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            reject(signal.reason as Error)
          })
        }),
      }),
      cancel: (id) => cancelled.push(id),
    })
    const listening = changes.set({ toolsListChanged: true })
    await Promise.resolve()
    const end = {
      kind: 'notification',
      method: 'notifications/cancelled',
      params: { requestId: 7 },
    } as const
    expect(changes.hears(end)).toBe(true)
    changes.heard(end)
    await expect(listening).rejects.toThrow(Fault)
    expect(cancelled).toEqual([7])
    expect(clock.waiting).toBe(0)
    changes.close()
  })
})
