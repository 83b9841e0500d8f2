import { hkdfSync } from 'node:crypto'

const PURPOSE = 'postern tenant roles'

/**
 * The key that roles of tenants are derived from: HKDF-SHA-256 (RFC 5869) of the key of the installation, so that
 * whoever handles roles cannot open what that one seals.
 *
 * @param secret the bytes of `secret.key`
 */
export const tenantKey = (secret: Uint8Array): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), PURPOSE, 32))
