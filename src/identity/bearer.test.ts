import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseBearer } from './bearer.ts'

describe('parseBearer', () => {
  it('C1 reads the one accepted form', () => {
    expect(parseBearer('Bearer pst_abc-DEF_123')).toBe('pst_abc-DEF_123')
    expect(parseBearer('Bearer O9ms9jqTfUdy-DIjvpFWeqd_yH_NEj7me0mgOnOjGdQ=')).toBe(
      'O9ms9jqTfUdy-DIjvpFWeqd_yH_NEj7me0mgOnOjGdQ=',
    )
    expect(parseBearer('Bearer chosen$by:a|person!')).toBe('chosen$by:a|person!')
  })

  it.each([
    ['nothing', ''],
    ['the scheme alone', 'Bearer'],
    ['the scheme and a space', 'Bearer '],
    ['a lower-case scheme', 'bearer abc'],
    ['an upper-case scheme', 'BEARER abc'],
    ['another scheme', 'Basic abc'],
    ['a bare token', 'pst_abc'],
    ['two spaces', 'Bearer  abc'],
    ['a space after it', 'Bearer abc '],
    ['a space before it', ' Bearer abc'],
    ['extra words', 'Bearer abc def'],
    ['two headers joined', 'Bearer abc, Bearer def'],
    ['a tab', 'Bearer\tabc'],
    ['a tab inside', 'Bearer abc\tdef'],
    ['a line break', 'Bearer abc\n'],
    ['NUL', 'Bearer abc\0'],
    ['DEL', 'Bearer abc\x7f'],
    ['latin-1', 'Bearer ab\u00e9'],
    ['a no-break space', 'Bearer\u00a0abc'],
    ['a full-width letter', 'Bearer \uff21bc'],
    ['a lone surrogate', 'Bearer \ud800'],
    ['5,000 characters', `Bearer ${'a'.repeat(5_000)}`],
    ['one character too many', `Bearer ${'a'.repeat(4_097)}`],
  ])('C1 refuses %s', (_what, header) => {
    expect(parseBearer(header)).toBeUndefined()
  })

  it('accepts exactly 4,096 characters', () => {
    expect(parseBearer(`Bearer ${'a'.repeat(4_096)}`)).toHaveLength(4_096)
  })

  it('never answers with anything but what follows "Bearer "', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (text) => {
        const token = parseBearer(text)
        if (token !== undefined) expect(`Bearer ${token}`).toBe(text)
      }),
    )
  })
})
