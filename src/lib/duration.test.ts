import { describe, expect, it } from 'vitest'
import { formatDuration, parseDuration, parseExpiry } from './duration.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

describe('parseExpiry', () => {
  it.each([
    ['12h', 12 * HOUR_MS],
    ['30d', 30 * DAY_MS],
    ['2w', 14 * DAY_MS],
    ['1y', 365 * DAY_MS],
    [' 90D ', 90 * DAY_MS],
    ['never', null],
    ['Never', null],
  ])('reads %s', (text, expected) => {
    expect(parseExpiry(text)).toEqual({ ok: true, value: expected })
  })

  it('refuses 6m with the hint to say 180d', () => {
    const result = parseExpiry('6m')
    expect(result.ok).toBe(false)
    if (!result.ok) expect(result.error).toContain('180d')
  })

  it.each([
    '',
    '0d',
    '-1d',
    '1.5d',
    '30',
    'd',
    '30 d',
    '1d1h',
    '999999y',
    '1000000d',
    'forever',
    '٣d',
    '30d\n1',
  ])('refuses %j', (text) => {
    expect(parseExpiry(text).ok).toBe(false)
  })
})

describe('parseDuration', () => {
  it.each([
    ['250ms', 250],
    ['30s', 30_000],
    ['5m', 300_000],
    ['2h', 2 * HOUR_MS],
    ['1d', DAY_MS],
    [1_500, 1_500],
    [0, 0],
  ])('reads %s', (text, expected) => {
    expect(parseDuration(text)).toEqual({ ok: true, value: expected })
  })

  it.each(['', 'soon', '5', '-5s', Number.NaN, -1, 1.5, Number.POSITIVE_INFINITY])('refuses %j', (text) => {
    expect(parseDuration(text).ok).toBe(false)
  })
})

describe('formatDuration', () => {
  it.each(['0ms', '250ms', '1s', '90s', '1500ms', '15m', '2h', '14d'])(
    'says %s as it was written',
    (text) => {
      const read = parseDuration(text)
      expect(read.ok && formatDuration(read.value)).toBe(text)
    },
  )
})
