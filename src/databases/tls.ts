import type { ConnectionOptions } from 'node:tls'
import type { DatabaseOptions } from './options.ts'

/** Options for a TLS connection; `false` is a connection without TLS. */
export type Encryption = ConnectionOptions | false

const ENCRYPTED_ONLY: ConnectionOptions = { rejectUnauthorized: false }

/**
 * What to try, in order. What `sslmode` means (PostgreSQL manual, "SSL Support", table "SSL Mode Descriptions"): `prefer` and
 * `require` encrypt without asking who answers, `verify-ca` asks for a certificate of a known authority,
 * `verify-full` also for the right host name. As in libpq, `require` with authorities given verifies like
 * `verify-ca`, and over a Unix socket there is no TLS.
 */
export function tlsPlan(
  options: Pick<DatabaseOptions, 'host' | 'sslmode' | 'sslRootCert'>,
): readonly Encryption[] {
  if (options.host.startsWith('/')) return [false]
  const authorities = options.sslRootCert == null ? {} : { ca: options.sslRootCert }
  const knownAuthority = { ...authorities, rejectUnauthorized: true, checkServerIdentity: () => undefined }
  const plans: Record<DatabaseOptions['sslmode'], readonly Encryption[]> = {
    disable: [false],
    prefer: [ENCRYPTED_ONLY, false],
    require: [options.sslRootCert == null ? ENCRYPTED_ONLY : knownAuthority],
    'verify-ca': [knownAuthority],
    'verify-full': [{ ...authorities, rejectUnauthorized: true }],
  }
  return plans[options.sslmode]
}
