import { describe, expect, it } from 'vitest'
import { readEmail, readUserName } from './user-name.ts'

const nameOf = (text: string): string => {
  const read = readUserName(text)
  return read.ok ? read.value.name : `refused: ${read.error}`
}
const shapeOf = (text: string): string => {
  const read = readUserName(text)
  return read.ok ? read.value.shape : ''
}

describe('a user name', () => {
  it.each([
    ['alice', 'alice'],
    ['Alice', 'alice'],
    ['  ALICE ', 'alice'],
    ['ａｌｉｃｅ', 'alice'],
    ['ﬁona', 'fiona'],
    ['Straße', 'strasse'],
    ['STRASSE', 'strasse'],
    ['Алиса', 'алиса'],
    ['花子', '花子'],
    ['a.b_c-d+e@example.com', 'a.b_c-d+e@example.com'],
    ['7of9', '7of9'],
    ['Zoe\u0308', 'zoë'],
  ])('%j is kept as %s', (text, name) => {
    expect(nameOf(text)).toBe(name)
  })

  it.each([
    ['', 'empty'],
    ['   ', 'empty'],
    ['a'.repeat(65), 'longer than 64'],
    ['a'.repeat(100_000), 'longer than 64'],
    ['alice bob', 'no spaces'],
    ['ali\u200bce', 'invisible'],
    ['ali\u202ece', 'invisible'],
    ['ali\0ce', 'letters, digits'],
    ['ali\nce', 'letters, digits'],
    ["alice'; --", 'letters, digits'],
    ['../alice', 'letters, digits'],
    ['.alice', 'must begin'],
    ['\ud800lice', 'letters, digits'],
    // Cyrillic а before Latin letters.
    ['\u0430lice', 'mixes Latin and Cyrillic letters'],
    ['αlice', 'mixes Latin and Greek letters'],
  ])('%j is refused with a sentence', (text, sentence) => {
    expect(nameOf(text)).toContain(`refused: the user name`)
    expect(nameOf(text)).toContain(sentence)
  })

  it.each([
    ['coco', 'сосо'],
    ['axe', 'ахе'],
    ['alice', 'a1ice'],
    ['bob', 'b0b'],
    ['zoe', 'zoë'],
    ['naïve', 'naive'],
  ])('%s and %s have one shape, and are two names', (one, other) => {
    expect(shapeOf(one)).toBe(shapeOf(other))
    expect(nameOf(one)).not.toBe(nameOf(other))
  })

  it('has another shape where an eye sees a difference', () => {
    const names = ['alice', 'alicia', 'bob', 'алиса', 'user1', 'user2', 'anna-b', 'anna_b']
    expect(new Set(names.map(shapeOf)).size).toBe(names.length)
  })
})

describe('an e-mail address', () => {
  it('is kept in small letters', () => {
    expect(readEmail(' Alice@Example.COM ')).toEqual({ ok: true, value: 'alice@example.com' })
  })

  it.each([
    '',
    'alice',
    '@example.com',
    'a@b@c',
    'a b@example.com',
    `${'a'.repeat(65)}@example.com`,
    'a@\u200b',
  ])('%j is none', (text) => {
    expect(readEmail(text)).toMatchObject({ ok: false, error: expect.stringContaining('e-mail') as string })
  })
})
