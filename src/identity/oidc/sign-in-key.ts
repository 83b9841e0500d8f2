import { hkdfSync } from 'node:crypto'
import { SEALING_KEY_BYTES } from '../../lib/seal.ts'

const PURPOSE = 'postern oidc sign-in'

/**
 * The key that seals what browsers keep of a sign-in: HKDF-SHA-256 (RFC 5869) of the key of the installation, so that
 * whatever a browser brings can never be taken for a sealed credential.
 *
 * @param secret the bytes of `secret.key`
 */
export const signInKey = (secret: Uint8Array): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), PURPOSE, SEALING_KEY_BYTES))
