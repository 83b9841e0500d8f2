import { hkdfSync } from 'node:crypto'
import { SEALING_KEY_BYTES } from './seal.ts'

/**
 * A key for one purpose, of the key of the installation: HKDF-SHA-256 (RFC 5869). Whoever has it can do nothing that
 * another key is for.
 *
 * @param secret the bytes of `secret.key`
 * @param purpose of no other key; another one makes whatever the key was used for before unreadable
 * @returns `SEALING_KEY_BYTES` bytes
 */
export const deriveKey = (secret: Uint8Array, purpose: string): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), purpose, SEALING_KEY_BYTES))
