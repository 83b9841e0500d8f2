import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { editDistance, nearestWord } from './spelling.ts'

describe('editDistance', () => {
  it.each([
    ['', '', 0],
    ['abc', 'abc', 0],
    ['abc', 'acb', 1],
    ['databses', 'databases', 1],
    ['kitten', 'sitting', 3],
    ['', 'abc', 3],
  ])('%s and %s are %d apart', (a, b, distance) => {
    expect(editDistance(a, b)).toBe(distance)
  })

  it('is symmetric and never more than the longer word', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 20 }), fc.string({ maxLength: 20 }), (a, b) => {
        const distance = editDistance(a, b)
        expect(distance).toBe(editDistance(b, a))
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length))
        expect(distance === 0).toBe(a === b)
      }),
    )
  })
})

describe('nearestWord', () => {
  const known = ['addr', 'baseUrl', 'allowedHosts', 'allowedOrigins', 'tls', 'name']

  it.each([
    ['adr', 'addr'],
    ['base_url', 'baseUrl'],
    ['BaseURL', 'baseUrl'],
    ['allowedHost', 'allowedHosts'],
    ['tsl', 'tls'],
    ['naem', 'name'],
  ])('takes %s for %s', (typed, meant) => {
    expect(nearestWord(typed, known)).toBe(meant)
  })

  it.each(['x', 'password', 'a'.repeat(500), ''])('does not guess for %s', (typed) => {
    expect(nearestWord(typed, known)).toBeUndefined()
  })
})
