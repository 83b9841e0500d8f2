import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseJson } from './parse-json.ts'

const parse = (text: string, depth = 64) => parseJson(Buffer.from(text), depth)
const problem = (text: string | Buffer, depth = 64): string => {
  const result = parseJson(Buffer.from(text as string), depth)
  if (result.ok) throw new Error('was accepted')
  expect(result.error.code).toBe('invalid_request')
  return result.error.message
}

describe('parseJson', () => {
  it('agrees with JSON.parse on every JSON value', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 8 }), fc.constantFrom(0, 2, '\t'), (value, indent) => {
        const text = JSON.stringify(value, null, indent)
        expect(parse(text)).toEqual({ ok: true, value: JSON.parse(text) })
      }),
    )
  })

  it('refuses a key twice, wherever it is and however it is written', () => {
    const value = fc.jsonValue({ maxDepth: 4 })
    const key = fc.string({ unit: 'binary', maxLength: 6 })
    const escaped = (text: string): string => {
      const units = Array.from({ length: text.length }, (_, at) => text.charCodeAt(at))
      return `"${units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')}"`
    }
    fc.assert(
      fc.property(key, value, value, value, fc.boolean(), (name, one, two, between, plain) => {
        const first = JSON.stringify(name)
        const again = plain ? first : escaped(name)
        const object = `{${first}:${JSON.stringify(one)},"${name.length > 5 ? 'x' : 'longer than the name'}":[${JSON.stringify(between)}],${again}:${JSON.stringify(two)}}`
        expect(problem(`[{"a":{"b":${object}}}]`)).toContain('same key twice')
      }),
    )
  })

  it('agrees with JSON.parse on what is not JSON', () => {
    const pieces = [
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '"a"',
      '"b\\n"',
      '1',
      '-',
      '0',
      '.5',
      'e1',
      'true',
      'nul',
      ' ',
      '"',
      '\\',
    ]
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...pieces), { maxLength: 9 }), (words) => {
        const text = words.join('')
        let expected: unknown
        let valid = true
        try {
          expected = JSON.parse(text)
        } catch {
          valid = false
        }
        const result = parse(text)
        if (result.ok) expect({ valid, value: expected }).toEqual({ valid: true, value: result.value })
        else if (valid) expect(result.error.message).toContain('same key twice')
      }),
      { numRuns: 5_000 },
    )
  })

  it.each([
    ['', 'a value is expected where the body ends'],
    ['{"a":1', '"," or "}" is expected where the body ends'],
    ['[1,]', 'a value is expected at position 3'],
    ['{"a":1,}', 'a key in double quotes is expected at position 7'],
    ["{'a':1}", 'a key in double quotes is expected at position 1'],
    ['{"a" 1}', '":" is expected at position 5'],
    ['1 2', 'the end of the body is expected at position 2'],
    ['"abc', 'the closing quote is expected where the body ends'],
    ['"a\nb"', 'no bare control character is expected at position 2'],
    ['"\\x"', 'a valid escape is expected at position 1'],
    ['01', 'the end of the body is expected at position 1'],
    ['NaN', 'a value is expected at position 0'],
    ['\uFEFF{}', 'a value is expected at position 0'],
    ['// c\n{}', 'a value is expected at position 0'],
  ])('says where %j breaks', (text, message) => {
    expect(problem(text)).toContain(message)
  })

  it('repeats nothing of the body', () => {
    expect(problem('{"password": hunter2}')).not.toContain('hunter2')
  })

  it('refuses a key that is there twice, in any spelling and at any depth', () => {
    expect(problem('{"a":1,"a":2}')).toContain('same key twice at position 7')
    expect(problem('{"a":1,"\\u0061":2}')).toContain('same key twice')
    expect(problem('[{"x":{"a":{},"b":[],"a":0}}]')).toContain('same key twice')
    expect(problem('{"__proto__":1,"__proto__":2}')).toContain('same key twice')
    expect(parse('[{"a":1},{"a":{"a":2}}]').ok).toBe(true)
    expect(parse('{"a":1,"A":2}').ok).toBe(true)
  })

  it('counts depth without recursion', () => {
    expect(parse('[[[]]]', 3).ok).toBe(true)
    expect(problem('[[[[]]]]', 3)).toContain('deeper than 3 levels at position 3')
    expect(problem('{"a":'.repeat(100_000), 64)).toContain('deeper than 64')
    expect(problem('['.repeat(5_000_000), 64)).toContain('deeper than 64')
    expect(problem('['.repeat(1_000_000), 2_000_000)).toContain('where the body ends')
  })

  it('refuses what is not UTF-8', () => {
    for (const bytes of [
      [0x22, 0xff, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
      [0x22, 0xc0, 0xaf, 0x22],
    ]) {
      const result = parseJson(Buffer.from(bytes), 8)
      expect(result).toMatchObject({ ok: false, error: { message: 'the body is not valid UTF-8' } })
    }
  })

  it('leaves the prototype alone', () => {
    const result = parse('{"__proto__":{"admin":true},"constructor":{"prototype":{"admin":true}}}')
    expect(result.ok).toBe(true)
    if (!result.ok) return
    expect(Object.getPrototypeOf(result.value)).toBe(Object.prototype)
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined()
  })

  it('takes a megabyte in well under a second', () => {
    const text = JSON.stringify(
      Array.from({ length: 20_000 }, (_, n) => ({ id: n, name: `name ${n}`, on: true })),
    )
    const startedAt = performance.now()
    expect(parse(text).ok).toBe(true)
    expect(performance.now() - startedAt).toBeLessThan(500)
  })
})
