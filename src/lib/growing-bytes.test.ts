import { describe, expect, it } from 'vitest'
import { GrowingBytes } from './growing-bytes.ts'

const join = (bytes: GrowingBytes, pieces: readonly string[]): void => {
  for (const piece of pieces) bytes.add(Buffer.from(piece))
}

describe('GrowingBytes', () => {
  it('joins pieces of any length', () => {
    const bytes = new GrowingBytes()
    const pieces = Array.from({ length: 3_000 }, (_, n) => String(n).repeat(n % 7))
    join(bytes, pieces)
    expect(bytes.length).toBe(pieces.join('').length)
    expect(bytes.view().toString()).toBe(pieces.join(''))
  })

  it('writes neither into a piece that it was given nor into what was taken', () => {
    const bytes = new GrowingBytes()
    const whole = Buffer.from('abcdef')
    bytes.add(whole.subarray(0, 3))
    bytes.add(Buffer.from('xyz'))
    expect(whole.toString()).toBe('abcdef')
    const taken = bytes.take()
    expect(bytes.length).toBe(0)
    join(bytes, ['one', 'two'])
    expect(taken.toString()).toBe('abcxyz')
    expect(bytes.take().toString()).toBe('onetwo')
  })

  it('takes 4 MiB that come byte by byte in a moment', () => {
    const bytes = new GrowingBytes()
    const byte = Buffer.from('x')
    const startedAt = performance.now()
    for (let n = 0; n < 4_194_304; n += 1) bytes.add(byte)
    expect(bytes.length).toBe(4_194_304)
    // Copied each time these would be eight terabytes.
    expect(performance.now() - startedAt).toBeLessThan(10_000)
  })

  it('takes no more room than it was allowed, unless it has to', () => {
    const bytes = new GrowingBytes(150_000)
    join(bytes, ['x'.repeat(100_000), 'y'.repeat(1_000)])
    expect(bytes.view().buffer.byteLength).toBe(150_000)
    bytes.add(Buffer.from('z'.repeat(60_000)))
    expect(bytes.view().buffer.byteLength).toBe(161_000)
    expect(bytes.length).toBe(161_000)
  })
})
