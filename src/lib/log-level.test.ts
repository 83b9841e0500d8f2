import { expect, it } from 'vitest'
import { isLogLevel, isWanted, mostTelling } from './log-level.ts'

it.each([
  ['error', 'warning', true],
  ['warning', 'warning', true],
  ['info', 'warning', false],
  ['verbose', 'warning', false],
  ['verbose', 'debug', false],
  [7, 'debug', false],
  [undefined, 'debug', false],
  ['verbose', undefined, true],
  ['debug', undefined, true],
])('a message of %j for somebody who asked for %j: %j', (level, least, wanted) => {
  expect(isWanted(level, least)).toBe(wanted)
})

it('knows the eight levels, and the one that tells the most', () => {
  expect(['debug', 'emergency', 'Debug', '', null].map(isLogLevel)).toEqual([true, true, false, false, false])
  expect(mostTelling(['error', 'info', 'alert'])).toBe('info')
  expect(mostTelling([])).toBeUndefined()
})
