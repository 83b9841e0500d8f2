import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { err, ok, type Result } from './result.ts'

export const SEALING_KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const FORM = 's1'
const SEALED = /^s1\.([0-9a-f]{16})\.([\w-]+)$/

/** `other_key`: sealed with a key that is not this one. `damaged`: changed since, or moved to another place. */
export type SealProblem = 'other_key' | 'damaged'

/** Keeps text secret and unchanged at rest: AES-256-GCM (NIST SP 800-38D) with a random nonce for each value. */
export interface Sealer {
  /** Names the key without telling anything of it. */
  readonly keyId: string
  /**
   * @param place where the value is kept, such as the columns that identify its row: a value that was moved to
   *   another row, whose owner it would then serve, cannot be opened there
   */
  seal(text: string, place: readonly string[]): string
  open(sealed: string, place: readonly string[]): Result<string, SealProblem>
}

/** @param key of `SEALING_KEY_BYTES` bytes; good for some 2^32 values, after which nonces might repeat */
export function sealer(key: Uint8Array): Sealer {
  if (key.length !== SEALING_KEY_BYTES) throw new TypeError(`a sealing key has ${SEALING_KEY_BYTES} bytes`)
  const keyId = createHash('sha256').update('postern sealing key\0').update(key).digest('hex').slice(0, 16)
  // The key's id is bound in, so that a value cannot pass for one of another key.
  const bound = (place: readonly string[]): Buffer => Buffer.from(JSON.stringify([FORM, keyId, ...place]))
  return {
    keyId,
    seal(text, place) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv('aes-256-gcm', key, nonce)
      cipher.setAAD(bound(place))
      const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
      return [FORM, keyId, sealed.toString('base64url')].join('.')
    },
    open(sealed, place) {
      const [, id, text] = SEALED.exec(sealed) ?? []
      if (id === undefined || text === undefined) return err('damaged')
      if (id !== keyId) return err('other_key')
      const bytes = Buffer.from(text, 'base64url')
      if (bytes.length < NONCE_BYTES + TAG_BYTES) return err('damaged')
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      })
      decipher.setAAD(bound(place))
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
      try {
        const opened = decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES))
        return ok(Buffer.concat([opened, decipher.final()]).toString('utf8'))
      } catch {
        return err('damaged')
      }
    },
  }
}
