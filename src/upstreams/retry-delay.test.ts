import { describe, expect, it } from 'vitest'
import { RetryDelay } from './retry-delay.ts'

describe('RetryDelay', () => {
  it('doubles up to its bound, spread to both sides', () => {
    const delay = new RetryDelay(1_000, 5_000)
    expect([0.5, 0.5, 0.5, 0.5, 0.5].map((spread) => delay.next(undefined, spread))).toEqual([
      1_000, 2_000, 4_000, 5_000, 5_000,
    ])
    expect([delay.next(undefined, 0), delay.next(undefined, 1)]).toEqual([3_750, 6_250])
    expect(delay.attempts).toBe(7)
  })

  it('takes the server at its word first, and never comes back sooner', () => {
    const delay = new RetryDelay(1_000, 5_000)
    expect([delay.next(70, 0.5), delay.next(70, 0.5), delay.next(60_000, 0.5)]).toEqual([70, 2_000, 60_000])
    delay.reset()
    expect([delay.next(0, 0.5), delay.attempts]).toEqual([50, 1])
  })
})
