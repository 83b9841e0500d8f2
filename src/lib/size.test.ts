import { describe, expect, it } from 'vitest'
import { parseSize } from './size.ts'

describe('parseSize', () => {
  it.each([
    ['0', 0],
    ['65536', 65_536],
    ['64KiB', 65_536],
    ['8 MiB', 8_388_608],
    ['1gb', 1_000_000_000],
    ['1.5KiB', 1_536],
    [4096, 4096],
  ])('reads %s as %d bytes', (text, bytes) => {
    expect(parseSize(text)).toEqual({ ok: true, value: bytes })
  })

  it.each(['', 'many', '-1', '1TB', '1e6', '8Mi', '0.0001KiB', '1.3B', -1, 1.5, Number.NaN, Infinity])(
    'refuses %s',
    (text) => {
      expect(parseSize(text).ok).toBe(false)
    },
  )
})
