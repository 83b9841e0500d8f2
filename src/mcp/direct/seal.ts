import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { isSessionRevision, type SessionRevision } from '../../lib/revisions.ts'

/** What a session id says to whoever holds the key. */
export interface SealedSession {
  readonly credentialId: string
  readonly server: string
  readonly revision: SessionRevision
  /** The id of the server's own session; empty where it gave none. */
  readonly upstreamId: string
}

/** Bytes of a key for `Seal`. */
export const SEAL_KEY_BYTES = 32

/** Ids that Postern makes up hold no full stop, so the two kinds cannot be taken for each other. */
const PREFIX = 'v1.'
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** No id that was sealed here is longer; a longer one is not worth deciphering. */
const LONGEST_ID = 2_048

/**
 * Session ids that carry what they stand for, encrypted and authenticated (AES-256-GCM, NIST SP 800-38D). The nonce
 * is random: 2^32 ids under one key are the bound, far beyond what is opened between two keys.
 */
export class Seal {
  readonly #key: Buffer

  constructor(key: Buffer) {
    this.#key = key
  }

  close({ credentialId, server, revision, upstreamId }: SealedSession): string {
    const nonce = randomBytes(NONCE_BYTES)
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce)
    cipher.setAAD(Buffer.from(PREFIX))
    const text = JSON.stringify([credentialId, server, revision, upstreamId])
    const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
    return PREFIX + sealed.toString('base64url')
  }

  /** `undefined` for an id that was not sealed with this key. */
  open(id: string): SealedSession | undefined {
    if (!isSealed(id) || id.length > LONGEST_ID) return undefined
    const sealed = Buffer.from(id.slice(PREFIX.length), 'base64url')
    if (sealed.length <= NONCE_BYTES + TAG_BYTES) return undefined
    // Base64 has several spellings of the same bytes; only ours is the id, or one session would have many names.
    if (sealed.toString('base64url') !== id.slice(PREFIX.length)) return undefined
    const decipher = createDecipheriv('aes-256-gcm', this.#key, sealed.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    })
    decipher.setAAD(Buffer.from(PREFIX))
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES))
    try {
      const text = Buffer.concat([
        decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)),
        decipher.final(),
      ])
      return read(JSON.parse(text.toString('utf8')))
    } catch {
      return undefined
    }
  }
}

/** True for ids of this kind, whoever made them. */
export const isSealed = (id: string): boolean => id.startsWith(PREFIX)

function read(value: unknown): SealedSession | undefined {
  if (!Array.isArray(value)) return undefined
  const [credentialId, server, revision, upstreamId] = value as readonly unknown[]
  return typeof credentialId === 'string' &&
    typeof server === 'string' &&
    typeof revision === 'string' &&
    isSessionRevision(revision) &&
    typeof upstreamId === 'string'
    ? { credentialId, server, revision, upstreamId }
    : undefined
}
