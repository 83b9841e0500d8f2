import { Client, DatabaseError } from 'pg'
import { Fault } from '../../lib/fault.ts'
import type { Secret } from '../../lib/secret.ts'
import { describeConnectError } from '../connect-error.ts'
import type { DatabaseOptions } from '../options.ts'
import { tlsPlan } from '../tls.ts'

export interface AdminLogin extends Pick<
  DatabaseOptions,
  'host' | 'port' | 'database' | 'sslmode' | 'sslRootCert' | 'connectTimeoutMs'
> {
  readonly user: string
  readonly password: Secret | null
}

/**
 * Connects as a role that may change the database itself, lets `work` use it, and closes it. Names mean PostgreSQL's own
 * from the start: in a database where everybody may make functions, an administrator must not call theirs.
 *
 * @throws Fault `database_unavailable`; the message is for the operator and holds no password
 */
export async function withAdminClient<T>(
  login: AdminLogin,
  work: (client: Client) => Promise<T>,
): Promise<T> {
  const client = await connected(login)
  // What breaks later breaks the statement that is under way.
  client.on('error', () => undefined)
  try {
    return await work(client)
  } finally {
    await client.end().catch(() => undefined)
  }
}

async function connected(login: AdminLogin): Promise<Client> {
  let last: unknown
  for (const ssl of tlsPlan(login)) {
    const client = new Client({
      host: login.host,
      port: login.port,
      database: login.database,
      user: login.user,
      // A function, so that `pg` looks neither at PGPASSWORD nor for a password file.
      password: () => login.password?.reveal() ?? '',
      ssl,
      enableChannelBinding: ssl !== false,
      application_name: 'postern',
      options: '-c search_path=pg_catalog -c client_min_messages=error',
      connectionTimeoutMillis: login.connectTimeoutMs,
    })
    try {
      await client.connect()
      return client
    } catch (error) {
      last = error
      await client.end().catch(() => undefined)
      // Somebody answered and refused: without TLS the same password would only travel in the open.
      if (error instanceof DatabaseError && error.code !== '28000') break
    }
  }
  throw new Fault('database_unavailable', describeConnectError(last, login, login.user), { cause: last })
}
