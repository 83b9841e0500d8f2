import { expect, it } from 'vitest'
import { isTooDeep, MOST_LEVELS } from './is-too-deep.ts'

const objects = (levels: number): string => '{"a":'.repeat(levels) + '1' + '}'.repeat(levels)
const lists = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)

it.each([objects, lists])('counts levels (%o)', (nested) => {
  expect(isTooDeep(nested(MOST_LEVELS))).toBe(false)
  expect(isTooDeep(nested(MOST_LEVELS + 1))).toBe(true)
  expect(isTooDeep(`[${lists(MOST_LEVELS - 1)},${lists(MOST_LEVELS - 1)}]`)).toBe(false)
})

it('does not count what stands in strings', () => {
  expect(isTooDeep(JSON.stringify({ text: '[{'.repeat(10_000) }))).toBe(false)
  expect(isTooDeep(JSON.stringify({ text: '\\"['.repeat(10_000), more: '\\'.repeat(1_001) }))).toBe(false)
  // A backslash before the end of a string does not hide what follows.
  expect(isTooDeep(`{"a":"\\\\","b":${lists(MOST_LEVELS)}}`)).toBe(true)
})

it('bears a string without an end', () => {
  expect(isTooDeep(`{"a":"${'x'.repeat(5_000)}`)).toBe(false)
  expect(isTooDeep(`{"a":"${'\\"'.repeat(5_000)}`)).toBe(false)
})
