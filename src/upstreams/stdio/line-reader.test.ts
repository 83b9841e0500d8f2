import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LineReader, LineTooLong } from './line-reader.ts'

const read = (reader: LineReader, text: string | Buffer): string[] => [...reader.read(Buffer.from(text))]

describe('reading lines', () => {
  it('gives the same lines however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\n', ' '))),
        fc.array(fc.nat(40)),
        (lines, cuts) => {
          const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''))
          const reader = new LineReader(10_000)
          const found: string[] = []
          let from = 0
          for (const cut of [...cuts, bytes.length]) {
            const to = Math.min(bytes.length, from + cut)
            found.push(...reader.read(bytes.subarray(from, to)))
            from = to
          }
          expect(found).toEqual(lines)
          expect(reader.unfinished).toBe(false)
        },
      ),
    )
  })

  it('says that a line is not finished', () => {
    const reader = new LineReader(100)
    expect(read(reader, 'one\ntw')).toEqual(['one'])
    expect(reader.unfinished).toBe(true)
    expect(read(reader, 'o\n')).toEqual(['two'])
    expect(reader.unfinished).toBe(false)
  })

  it('refuses a line over the bound, in one piece or in many, and takes one at the bound', () => {
    expect(read(new LineReader(4), '1234\n')).toEqual(['1234'])
    expect(() => read(new LineReader(4), '12345\n')).toThrow(LineTooLong)
    expect(() => read(new LineReader(4), '12345')).toThrow(LineTooLong)
    const reader = new LineReader(4)
    expect(read(reader, '123')).toEqual([])
    expect(() => read(reader, '45')).toThrow(LineTooLong)
  })
})
