import { deriveKey } from '../../lib/derive-key.ts'

/**
 * The key that seals what browsers keep of a sign-in: one of its own, so that whatever a browser brings can never be
 * taken for a sealed credential.
 *
 * @param secret the bytes of `secret.key`
 */
export const signInKey = (secret: Uint8Array): Buffer => deriveKey(secret, 'postern oidc sign-in')
