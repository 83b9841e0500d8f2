import { describe, expect, it } from 'vitest'
import { requestId } from './request-id.ts'

describe('request ids', () => {
  it('are UUIDv7, all different and in the order they were made, over many pools of randomness', () => {
    const ids = Array.from({ length: 5_000 }, requestId)
    for (const id of ids)
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(new Set(ids).size).toBe(ids.length)
    expect(ids.toSorted()).toEqual(ids)
  })
})
