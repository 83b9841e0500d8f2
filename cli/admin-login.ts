import { parsePostgresUrl } from '../src/config/postgres-url.ts'
import type { Settings } from '../src/config/settings.ts'
import type { AdminLogin } from '../src/databases/tenancy/admin-client.ts'
import { err, ok, type Result } from '../src/lib/result.ts'

/** The environment variable: a password on a command line is seen by everybody on the machine. */
export const ADMIN_URL = 'POSTERN_DATABASE_ADMIN_URL'

/**
 * Who may change a database itself: the role of the environment variable, which may come by another address, or the
 * configured provisioner. The error is a sentence without its password.
 */
export function adminLogin(
  database: Settings['databases'][number],
  url: string | undefined,
): Result<AdminLogin, string> {
  const { host, port, database: name, sslmode, sslRootCert, connectTimeoutMs, tenancy } = database
  const target = { host, port, database: name, sslmode, sslRootCert, connectTimeoutMs }
  if (!url) {
    return tenancy?.provisioner
      ? ok({ ...target, ...tenancy.provisioner })
      : err(
          `${ADMIN_URL} is not set: it names a role that owns the tables and may make roles, such as postgres://admin:password@${host}:${port}/${name}`,
        )
  }
  const parsed = parsePostgresUrl(url)
  if (!parsed.ok) return err(`${ADMIN_URL} ${parsed.error}`)
  const { user, password, ...other } = parsed.value
  if (user === null) return err(`${ADMIN_URL} names no user`)
  return ok({
    ...target,
    host: other.host ?? host,
    port: other.port ?? port,
    database: other.database ?? name,
    sslmode: other.sslmode ?? sslmode,
    user,
    password,
  })
}
