import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { Secret } from './secret.ts'

describe('Secret', () => {
  const secret = new Secret('pst_correct-horse')

  it('gives its value only when asked by name', () => {
    expect(secret.reveal()).toBe('pst_correct-horse')
  })

  it.each([
    ['string conversion', () => String(secret)],
    ['a concatenation', () => ''.concat(secret.toString())],
    ['JSON', () => JSON.stringify({ secret })],
    ['util.inspect', () => inspect({ secret }, { depth: 9, showHidden: true })],
    ['an error message', () => new Error('failed', { cause: secret }).stack ?? ''],
    ['its own properties', () => JSON.stringify(Object.entries(secret))],
  ])('does not show it in %s', (_, print) => {
    expect(print()).not.toContain('correct-horse')
  })
})
