import { expect, it } from 'vitest'
import { manualClock } from '../../test/support/clock.ts'
import type { GuardedConversation } from './backend/backend.ts'
import { KeptConversations } from './kept-conversations.ts'

/** A conversation that only knows whether it was closed. */
function begin(closed: string[], name: string): GuardedConversation {
  return {
    about: { revision: '2025-11-25', serverInfo: {}, capabilities: {} },
    request: () => Promise.resolve({ kind: 'result', result: {} }),
    notify: () => undefined,
    listen: () => Promise.resolve({}),
    close: () => void closed.push(name),
  }
}

it('keeps one for each credential, and lets go of what nobody used for long enough', async () => {
  const clock = manualClock()
  const closed: string[] = []
  const kept = new KeptConversations(clock, () => 30_000)
  let begun = 0
  const use = (name: string) =>
    kept.use(
      name,
      () => {
        begun += 1
        return begin(closed, name)
      },
      async (one) => (await one.request({} as never)).kind,
    )
  expect(await use('ann')).toBe('result')
  clock.advance(20_000)
  await use('ann')
  await use('bob')
  expect([begun, kept.size]).toEqual([2, 2])
  clock.advance(20_000)
  await use('bob')
  clock.advance(20_000)
  expect(closed).toEqual(['ann'])
  clock.advance(60_000)
  expect(closed).toEqual(['ann', 'bob'])
  expect(clock.waiting).toBe(0)
})

it('lets go of none that is in use, however long that takes', async () => {
  const clock = manualClock()
  const closed: string[] = []
  const kept = new KeptConversations(clock, () => 1_000)
  let finish = (): void => {}
  const long = kept.use(
    'ann',
    () => begin(closed, 'ann'),
    () =>
      new Promise<void>((resolve) => {
        finish = resolve
      }),
  )
  clock.advance(600_000)
  expect(closed).toEqual([])
  finish()
  await long
  clock.advance(20_000)
  expect(closed).toEqual(['ann'])
})

it('bounds how many there are: the one that was idle for longest gives way', async () => {
  const clock = manualClock()
  const closed: string[] = []
  const kept = new KeptConversations(clock, () => 1e9)
  for (let at = 0; at < 1_002; at += 1) {
    clock.jump(1)
    await kept.use(
      `c${at}`,
      () => begin(closed, `c${at}`),
      () => Promise.resolve(),
    )
  }
  expect(kept.size).toBe(1_000)
  expect(closed).toEqual(['c0', 'c1'])
  kept.close()
  expect([kept.size, closed.length, clock.waiting]).toEqual([0, 1_002, 0])
})
