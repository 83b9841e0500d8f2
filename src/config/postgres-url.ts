import { err, ok, type Result } from '../lib/result.ts'
import { Secret } from '../lib/secret.ts'
import { nearestWord } from '../lib/spelling.ts'

export const SSL_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full'] as const

export type SslMode = (typeof SSL_MODES)[number]

/** What a PostgreSQL URL names; `null` for what it leaves open. */
export interface PostgresUrl {
  readonly host: string | null
  readonly port: number | null
  readonly database: string | null
  readonly user: string | null
  readonly password: Secret | null
  readonly sslmode: SslMode | null
  /** A file; relative as it stands in the URL. */
  readonly sslRootCert: string | null
  /** Parameters that change nothing of importance here and are left out, by name. */
  readonly ignored: readonly string[]
}

/** Parameters of libpq that can be left out without making the connection mean something else. */
const HARMLESS = new Set([
  'application_name',
  'connect_timeout',
  'channel_binding',
  'keepalives',
  'gssencmode',
])

/** Parameters that do mean something and that this version does not know how to honour. */
const UNAVAILABLE = new Set([
  'sslcert',
  'sslkey',
  'sslpassword',
  'sslcrl',
  'target_session_attrs',
  'options',
  'service',
])

const ONE_HOST =
  'names several hosts: Postern connects to one, so name the primary or a proxy in front of both'

/** Whether text is meant as a PostgreSQL URL. */
export const looksLikePostgresUrl = (text: string): boolean => /^postgres(?:ql)?:\/\//i.test(text)

/**
 * Reads a connection URI of libpq (PostgreSQL documentation §32.1.1.2), one host only. The error is a
 * clause that follows the key's name; it never quotes the URL, which holds a password.
 */
export function parsePostgresUrl(text: string): Result<PostgresUrl, string> {
  const match =
    /^postgres(?:ql)?:\/\/(?:([^@/?#]*)@)?(\[[^\]]*\]|[^:/?#@[\]]*)(?::([^/?#@]*))?(?:\/([^?#]*))?(?:\?([^#]*))?$/i.exec(
      text,
    )
  if (!match) {
    if (!looksLikePostgresUrl(text))
      return err('is not a database URL: it must start with postgres:// or postgresql://')
    if (/^[^?]*,/.test(text)) return err(ONE_HOST)
    return err(
      'is not a PostgreSQL URL: use postgres://user:password@host:5432/database, with %40 for @ and %2F for / in a password',
    )
  }
  const [, userInfo = '', hostPart = '', portPart = '', databasePart = '', query = ''] = match
  if (hostPart.includes(',') || portPart.includes(',')) return err(ONE_HOST)

  const colon = userInfo.indexOf(':')
  const decoded = {
    user: decode(colon === -1 ? userInfo : userInfo.slice(0, colon)),
    password: decode(colon === -1 ? '' : userInfo.slice(colon + 1)),
    host: decode(hostPart.replace(/^\[|\]$/g, '')),
    database: decode(databasePart),
  }
  let { user, password, host, database } = decoded
  if (user === null || password === null || host === null || database === null)
    return err('holds a % that is not followed by two hex digits: write %25 for a percent sign')

  let port = portPart
  let sslmode: SslMode | null = null
  let sslRootCert: string | null = null
  const ignored: string[] = []
  for (const [name, value] of new URLSearchParams(query)) {
    if (name === 'sslmode') {
      const found = SSL_MODES.find((mode) => mode === value)
      if (!found) {
        const near = nearestWord(value, SSL_MODES)
        return err(
          `has an sslmode that is not one of ${SSL_MODES.join(', ')}${near ? `: ${near} is near` : ''}`,
        )
      }
      sslmode = found
    } else if (name === 'host') {
      // libpq's way to name the directory of a Unix socket.
      if (value.includes(',')) return err(ONE_HOST)
      host = value
    } else if (name === 'port') port = value
    else if (name === 'user') user = value
    else if (name === 'password') password = value
    else if (name === 'dbname') database = value
    else if (name === 'sslrootcert') {
      if (value !== 'system') sslRootCert = value
    } else if (HARMLESS.has(name)) ignored.push(name)
    else if (UNAVAILABLE.has(name))
      return err(`has the parameter ${name}, which is not available in this version`)
    else
      return err(`has a parameter that PostgreSQL URLs do not have (known are sslmode, sslrootcert and host)`)
  }
  if (port.includes(',')) return err(ONE_HOST)
  if (port !== '' && !(/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535))
    return err('has a port that is not a number from 1 to 65535')
  // In the start-up packet a NUL ends a value, and what follows it would be read as the next parameter.
  if ([user, password, database].some((part) => part.includes('\0'))) return err('holds a NUL byte')
  if (/[\p{Cc}\s]/u.test(host)) return err('has a host that is not a host name')
  return ok({
    host: host || null,
    port: port === '' ? null : Number(port),
    database: database || null,
    user: user || null,
    password: password === '' ? null : new Secret(password),
    sslmode,
    sslRootCert,
    ignored,
  })
}

function decode(text: string): string | null {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}
