import { describe, expect, it } from 'vitest'
import { fromNow, roughly, shortDate, shortTime } from './moment.ts'

const HOUR = 3_600_000

describe('times for people', () => {
  it.each([
    [0, '0 seconds'],
    [1000, '1 second'],
    [90_000, '2 minutes'],
    [HOUR, '1 hour'],
    [24 * HOUR, '24 hours'],
    [47 * HOUR, '47 hours'],
    [48 * HOUR, '2 days'],
    [90 * 24 * HOUR, '90 days'],
  ])('%i ms is about %s', (length, text) => {
    expect(roughly(length)).toBe(text)
  })

  it('says whether a moment is past', () => {
    expect(fromNow(5000, 0)).toBe('5 seconds from now')
    expect(fromNow(0, 2 * HOUR)).toBe('2 hours ago')
  })

  it('writes dates in UTC', () => {
    const at = Date.UTC(2026, 0, 2, 3, 4, 5)
    expect([shortDate(at), shortTime(at)]).toEqual(['2026-01-02', '2026-01-02 03:04:05'])
  })
})
