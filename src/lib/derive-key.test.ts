import { describe, expect, it } from 'vitest'
import { deriveKey } from './derive-key.ts'

describe('a key for one purpose', () => {
  it('is that of RFC 5869, test case 3', () => {
    const key = deriveKey(Buffer.alloc(22, 0x0b), '')
    expect(key.toString('hex')).toBe('8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d')
  })

  it('is another for each purpose and each secret', () => {
    const keys = [7, 8].flatMap((byte) =>
      ['a', 'b'].map((purpose) => deriveKey(Buffer.alloc(32, byte), purpose)),
    )
    expect(new Set(keys.map((key) => key.toString('hex'))).size).toBe(4)
  })
})
