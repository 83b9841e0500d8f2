import { DatabaseError } from 'pg'
import type { DatabaseOptions } from './options.ts'

const WITHOUT_PASSWORD = /SASL: .*(?:empty string|must be a string|password)/i

const SYSTEM: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'there is no host of that name',
  EAI_AGAIN: 'the host name could not be looked up',
  ETIMEDOUT: 'the host did not answer',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ECONNRESET: 'the connection was cut off',
  ENOENT: 'there is no such socket',
}

/** PostgreSQL has no connection left (for anybody, for this role, or for this database). */
export const isServerFull = (error: unknown): boolean =>
  error instanceof DatabaseError && error.code === '53300'

/** Says to an operator what kept a connection from being made, and what to look at. Never the password. */
export function describeConnectError(
  error: unknown,
  options: Pick<DatabaseOptions, 'host' | 'port' | 'database'>,
  user: string,
): string {
  const place = `PostgreSQL at ${options.host}:${options.port}`
  if (error instanceof DatabaseError) return `${place} ${describeRefusal(error, options.database, user)}`
  if (!(error instanceof Error)) return `${place} cannot be reached`
  const code = 'code' in error ? String(error.code) : ''
  const known = SYSTEM[code]
  if (known !== undefined) return `${place} cannot be reached: ${known} (${code})`
  if (WITHOUT_PASSWORD.test(error.message)) {
    return `${place} wants a password for role "${user}", and none that works is configured`
  }
  return `${place} cannot be used: ${error.message}${code === '' ? '' : ` (${code})`}`
}

function describeRefusal(error: DatabaseError, database: string, user: string): string {
  const said = error.message
  switch (error.code ?? '') {
    case '28P01':
      return `refused the password of role "${user}": check the configured user and password`
    case '28000':
      return `does not let role "${user}" in: ${said} (check pg_hba.conf and the role)`
    case '3D000':
      return `has no database "${database}"`
    case '42501':
      return `does not let role "${user}" connect to database "${database}": ${said}`
    case '57P03':
      return `is starting or stopping: ${said}`
    default:
      return `refused the connection: ${said} (SQLSTATE ${error.code ?? 'unknown'})`
  }
}
