import { assert, property, string } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeHeaderValue, encodeHeaderValue } from './header-value.ts'

describe('encodeHeaderValue', () => {
  it.each([
    ['us-west1', 'us-west1'],
    ['a b\tc', 'a b\tc'],
    ['Hello, 世界', '=?base64?SGVsbG8sIOS4lueVjA==?='],
    [' padded ', '=?base64?IHBhZGRlZCA=?='],
    ['line1\nline2', '=?base64?bGluZTEKbGluZTI=?='],
    ['=?base64?literal?=', '=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?='],
    ['', '=?base64??='],
  ])('writes %j as %j', (value, header) => {
    expect(encodeHeaderValue(value)).toBe(header)
  })

  it('is read back as it was by the server side, and never splits a header', () => {
    assert(
      property(string({ unit: 'grapheme' }), (value) => {
        const header = encodeHeaderValue(value)
        expect(header).toMatch(/^[\t\x20-\x7E]*$/)
        expect(decodeHeaderValue(header)).toBe(value)
      }),
    )
  })
})
