import { describe, expect, it } from 'vitest'
import { Backoff } from './backoff.ts'

const fail = (backoff: Backoff, times: number, livedMs = 0): readonly number[] => {
  const delays: number[] = []
  let now = 0
  for (let n = 0; n < times; n += 1) {
    const retryAt = backoff.failed('', 'broken', livedMs, now)
    delays.push(retryAt - now)
    now = retryAt
  }
  return delays
}

describe('waiting after failures', () => {
  it('doubles up to a minute', () => {
    expect(fail(new Backoff(() => 1), 10)).toEqual([
      250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000,
    ])
  })

  it('never waits less than three quarters', () => {
    expect(fail(new Backoff(() => 0), 3)).toEqual([188, 375, 750])
  })

  it('begins anew with what had worked for long', () => {
    expect(fail(new Backoff(() => 1), 3, 30_000)).toEqual([250, 250, 250])
  })

  it('counts one end once, however many tell of it', () => {
    const backoff = new Backoff(() => 1)
    const at = backoff.failed('', 'broken', 0, 0)
    expect(backoff.failed('', 'broken', 0, 10)).toBe(at)
    expect(backoff.failed('', 'broken', 0, at)).toBe(at + 500)
  })

  it('keeps keys apart, and forgets what has worked for a while', () => {
    const backoff = new Backoff(() => 1)
    backoff.failed('a', 'broken', 0, 0)
    expect(backoff.waiting('b', 0)).toBeUndefined()
    expect(backoff.waiting('a', 249)).toMatchObject({ problem: 'broken', retryAt: 250 })
    expect(backoff.waiting('a', 250)).toBeUndefined()
    backoff.succeeded('a', 300)
    expect(backoff.failed('a', 'broken', 0, 400)).toBe(900)
    backoff.succeeded('a', 40_000)
    expect(backoff.failed('a', 'broken', 0, 40_000)).toBe(40_250)
  })

  it('is bounded, whoever fails', () => {
    const backoff = new Backoff(() => 1)
    for (let n = 0; n < 1_001; n += 1) backoff.failed(`caller ${n}`, 'broken', 0, 0)
    expect(backoff.waiting('caller 0', 1)).toBeUndefined()
    expect(backoff.waiting('caller 1', 1)).toBeDefined()
  })
})
