import { describe, expect, it } from 'vitest'
import { columns, padShown, printable, shownLength, wrap } from './text.ts'

describe('text for a terminal', () => {
  it('counts what is shown, not the codes for bold', () => {
    expect(shownLength('\u001B[1mab\u001B[22m')).toBe(2)
    expect(padShown('\u001B[1mab\u001B[22m', 4)).toBe('\u001B[1mab\u001B[22m  ')
  })

  it('shows no control characters of a text from elsewhere', () => {
    const hostile = 'a\u001B[2Jb\u001B]0;title\u0007c\u0008d\ne\u009Bf'
    expect(printable(hostile)).not.toMatch(/\p{Cc}/u)
    expect(printable('Größe 10 — ✓')).toBe('Größe 10 — ✓')
  })

  it('breaks lines at spaces and leaves long words whole', () => {
    expect(wrap('one two three', 7)).toEqual(['one two', 'three'])
    expect(wrap('abcdefghij k', 4)).toEqual(['abcdefghij', 'k'])
  })

  it('keeps the right column in its place', () => {
    const text = columns(
      [
        ['--a', 'first second third fourth fifth'],
        ['--longer-than-left', 'x'],
      ],
      { indent: 2, left: 6, width: 34 },
    )
    expect(text).toBe(
      ['  --a     first second third', '          fourth fifth', '  --longer-than-left', '          x'].join(
        '\n',
      ),
    )
  })
})
