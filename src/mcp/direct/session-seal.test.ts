import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { isSealed, type SealedSession, SessionSeal } from './session-seal.ts'

const SESSION: SealedSession = {
  credentialId: 'cred-1',
  server: 'files',
  revision: '2025-11-25',
  upstreamId: 'upstream-session',
}

describe('sealed session ids', () => {
  const key = randomBytes(32)
  const seal = new SessionSeal(key)

  it('open to what was sealed, also for another holder of the key', () => {
    const id = seal.close(SESSION)
    expect(isSealed(id)).toBe(true)
    expect(id).not.toContain('upstream-session')
    expect(new SessionSeal(key).open(id)).toEqual(SESSION)
  })

  it('are visible ASCII, as a session id must be', () => {
    expect(seal.close({ ...SESSION, credentialId: 'Zoë\n' })).toMatch(/^[\x21-\x7e]+$/)
  })

  it('are different each time, so that nobody can tell two sessions of one credential', () => {
    expect(seal.close(SESSION)).not.toBe(seal.close(SESSION))
  })

  it('open with no other key, and not when a single character differs', () => {
    const id = seal.close(SESSION)
    expect(new SessionSeal(randomBytes(32)).open(id)).toBeUndefined()
    for (let at = 0; at < id.length; at += 1) {
      const other = id[at] === 'A' ? 'B' : 'A'
      expect(seal.open(id.slice(0, at) + other + id.slice(at + 1))).toBeUndefined()
    }
    for (const wrong of ['', 's1.', `${id}A`, `${id}=`, id.slice(0, -1), `${id}${'A'.repeat(4_096)}`]) {
      expect(seal.open(wrong)).toBeUndefined()
    }
  })
})
