import { describe, expect, it } from 'vitest'
import { eraOf } from './era.ts'

describe('the answer to server/discover', () => {
  it.each([
    ['a list with the stateless revision', { supportedVersions: ['2026-07-28'] }, 'stateless'],
    ['both eras', { supportedVersions: ['2025-11-25', '2026-07-28'] }, 'stateless'],
    ['a list of other revisions', { supportedVersions: ['2025-11-25'] }, 'session'],
    ['a result of something else', { tools: [] }, 'session'],
  ])('%s', (_, result, era) => {
    expect(eraOf({ kind: 'result', id: 1, result })).toBe(era)
  })

  it.each([
    ['a method that is not known', { code: -32_601, message: '' }, 'session'],
    ['params that are not understood', { code: -32_602, message: '' }, 'session'],
    [
      'the refused version, with ours',
      { code: -32_022, message: '', data: { supported: ['2026-07-28'] } },
      'stateless',
    ],
    [
      'the refused version, with others',
      { code: -32_022, message: '', data: { supported: ['2027-01-01'] } },
      'session',
    ],
    ['the code alone', { code: -32_022, message: '' }, 'session'],
  ])('an error: %s', (_, error, era) => {
    expect(eraOf({ kind: 'error', id: 1, error })).toBe(era)
  })
})
