import { deriveKey } from '../../lib/derive-key.ts'

/**
 * The key that roles of tenants are derived from: one of its own, so that whoever handles roles cannot open what the
 * key of the installation seals.
 *
 * @param secret the bytes of `secret.key`
 */
export const tenantKey = (secret: Uint8Array): Buffer => deriveKey(secret, 'postern tenant roles')
