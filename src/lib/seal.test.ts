import { randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sealer } from './seal.ts'

const PLACE = ['default', 'alice', 'wiki']

describe('sealer', () => {
  const one = sealer(randomBytes(32))

  it('opens what it sealed, whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.array(fc.string()), (text, place) => {
        expect(one.open(one.seal(text, place), place)).toEqual({ ok: true, value: text })
      }),
    )
  })

  it('shows neither the value nor that two are alike', () => {
    const [a, b] = [one.seal('the same value', PLACE), one.seal('the same value', PLACE)]
    expect(a).not.toBe(b)
    for (const sealed of [a, b]) {
      expect(sealed).not.toContain('same')
      expect(sealed).not.toContain(Buffer.from('the same value').toString('base64url').slice(0, 12))
    }
  })

  it('does not open a value in another place: that of another principal, tenant or server', () => {
    const sealed = one.seal('value', PLACE)
    for (const place of [
      ['default', 'bob', 'wiki'],
      ['acme', 'alice', 'wiki'],
      ['default', 'alice', 'files'],
      ['default', 'alice'],
      ['default', 'alice', 'wiki', ''],
      ['defaultalice', '', 'wiki'],
    ]) {
      expect(one.open(sealed, place)).toEqual({ ok: false, error: 'damaged' })
    }
  })

  it('notices any change, and never throws', () => {
    const sealed = one.seal('value', PLACE)
    const [form, id, text = ''] = sealed.split('.')
    const bytes = Buffer.from(text, 'base64url')
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] as number) ^ 1
      const again = [form, id, changed.toString('base64url')].join('.')
      expect(one.open(again, PLACE)).toEqual({ ok: false, error: 'damaged' })
    }
    for (const wrong of ['', 's1', 's1..', `s2.${id}.${text}`, `s1.${id}.`, `${sealed}.x`, `s1.${id}.AAAA`]) {
      expect(one.open(wrong, PLACE)).toEqual({ ok: false, error: 'damaged' })
    }
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(one.open(text, PLACE).ok).toBe(false)
      }),
    )
  })

  it('says when another key sealed it', () => {
    const other = sealer(randomBytes(32))
    expect(other.keyId).not.toBe(one.keyId)
    expect(other.open(one.seal('value', PLACE), PLACE)).toEqual({ ok: false, error: 'other_key' })
    // With the id of the right key in its place it is still not opened.
    const forged = one.seal('value', PLACE).replace(one.keyId, other.keyId)
    expect(other.open(forged, PLACE)).toEqual({ ok: false, error: 'damaged' })
  })

  it('names its key by nothing that tells of it', () => {
    const key = Buffer.alloc(32, 7)
    expect(sealer(key).keyId).toBe(sealer(key).keyId)
    expect(sealer(key).keyId).toMatch(/^[0-9a-f]{16}$/)
    expect(key.toString('hex')).not.toContain(sealer(key).keyId)
  })

  it('takes keys of one length only', () => {
    expect(() => sealer(randomBytes(16))).toThrow(TypeError)
  })
})
