import { readFileSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import type { Secret } from '../../lib/secret.ts'
import { systemCode } from '../../lib/system-code.ts'
import {
  absolutePath,
  choice,
  duration,
  flag,
  names,
  path,
  secret,
  text,
  whole,
  withoutPassword,
} from '../leaves.ts'
import { memberPath } from '../node.ts'
import { type PostgresUrl, parsePostgresUrl, SSL_MODES } from '../postgres-url.ts'
import type { DatabaseSettings } from '../settings.ts'
import {
  type Context,
  list,
  mapped,
  NAME,
  NAME_RULE,
  optional,
  type Place,
  section,
  type ValueOf,
} from '../spec.ts'

const SECOND = 1_000
const HOUR = 3_600_000

const writer = section('The role that writes run as.', {
  user: text('Name of the role.', { example: 'app_writer' }),
  password: optional(secret('Its password.', { example: '$env:WRITER_PASSWORD' })),
})

const tenancy = section('Serve it as a protected database: every caller as a role of their own tenant.', {
  rolePrefix: text('What the names of these roles and the schema of Postern in it begin with.', {
    standard: 'postern',
  }),
  provisioner: optional(
    section('The role that makes the roles of a tenant when they are first needed.', {
      user: text('Name of the role; it needs CREATEROLE.', { example: 'postern_provisioner' }),
      password: optional(secret('Its password.', { example: '$env:PROVISIONER_PASSWORD' })),
    }),
  ),
})

const fields = section('One PostgreSQL database.', {
  name: text('What callers call it. The first database of the list is the default one.', { example: 'main' }),
  url: optional(
    secret(
      '`postgres://user:password@host:5432/database?sslmode=require`, in place of the single keys. One host.',
      {
        example: 'postgres://reader@db.example.com:5432/shop',
        harmless: withoutPassword,
      },
    ),
  ),
  host: optional(text('Host name or address, or the directory of a Unix socket.'), 'localhost'),
  port: optional(whole('Port.', { min: 1, max: 65_535 }), '5432'),
  database: optional(text('Name of the database.'), 'the name of the user'),
  user: optional(
    text('Role that reads run as. It should own nothing and may not be a superuser.'),
    'needed here or in `url`',
  ),
  password: optional(secret('Password of that role.', { example: '$env:READER_PASSWORD' })),
  sslmode: optional(
    choice('How the connection is protected, as libpq means it.', SSL_MODES, { example: 'verify-full' }),
    'prefer',
  ),
  sslRootCert: optional(
    path('PEM file with the certificate authorities for `verify-ca` and `verify-full`.'),
    'those of the system',
  ),
  writer: optional(writer),
  writerUrl: optional(
    secret('The writing role as a URL to the same database, in place of `writer`.', {
      harmless: withoutPassword,
    }),
  ),
  tenants: optional(
    names('Tenants whose callers may use it.'),
    '`all` for a protected database, otherwise `[default]`',
  ),
  tenancy: optional(tenancy),
  allowSuperuser: flag('Serve the database although the role is a superuser, which no wall can hold.', {
    standard: false,
  }),
  maxConnectionsPerCredential: whole(
    'Connections that one credential may have open at once.',
    { min: 1, max: 1_000 },
    { standard: 4 },
  ),
  maxConnections: whole(
    'Connections of all credentials together.',
    { min: 1, max: 10_000 },
    { standard: 32 },
  ),
  idleTimeout: duration(
    'An unused connection is closed after this time.',
    { min: SECOND, max: 24 * HOUR },
    { standard: '5m' },
  ),
  acquireTimeout: duration(
    'How long a call waits for a free connection before it is told that the database is busy.',
    { min: 1, max: HOUR },
    { standard: '5s' },
  ),
  connectTimeout: duration('How long connecting may take.', { min: 1, max: HOUR }, { standard: '10s' }),
  statementTimeout: duration(
    'How long one statement may run.',
    { min: 1, max: 24 * HOUR },
    { standard: '30s' },
  ),
})

type Values = ValueOf<typeof fields>

/** Needs no quotes in SQL, and leaves room for the rest of a name of 63 bytes; `src/databases` has the same. */
const ROLE_PREFIX = /^(?!pg_)[a-z][a-z0-9_]{0,27}$/
const PREFIX_RULE = 'use small letters, digits and _, starting with a letter and not with pg_, 28 at most'

const NO_URL: PostgresUrl = {
  host: null,
  port: null,
  database: null,
  user: null,
  password: null,
  sslmode: null,
  sslRootCert: null,
  ignored: [],
}

export const databases = list(
  'PostgreSQL databases to serve. The first one is the default.',
  mapped(fields, (value, place, context): DatabaseSettings | undefined => {
    const at = (key: string): Place =>
      context.places.get(`${place.key}.${key}`) ?? { ...place, path: memberPath(place.path, key) }
    const wrong = (
      code: 'config_bad_value' | 'config_conflict' | 'config_missing',
      key: string,
      message: string,
    ): undefined => {
      context.report.problem(code, at(key), message)
      return undefined
    }
    if (!NAME.test(value.name)) return wrong('config_bad_value', 'name', `cannot be a name: ${NAME_RULE}`)

    const url = readUrl(value.url, at('url'), context)
    if (!url) return undefined
    // What the environment says goes before what the file says; within the file there must be one answer.
    const fromEnvironment = (key: string): boolean => at(key).where.kind === 'environment'
    const urlFirst = fromEnvironment('url')
    const pick = <K extends keyof PostgresUrl & keyof Values>(key: K): Values[K] | PostgresUrl[K] =>
      urlFirst && !fromEnvironment(key) ? (url[key] ?? value[key]) : (value[key] ?? url[key])
    const keysOfUrl = ['host', 'port', 'database', 'user', 'password', 'sslmode', 'sslRootCert'] as const
    const doubled = keysOfUrl.filter(
      (key) => value[key] !== null && url[key] !== null && !urlFirst && !fromEnvironment(key),
    )
    for (const key of doubled) wrong('config_conflict', key, 'is in the url, too: keep one of the two')
    if (doubled.length > 0) return undefined

    const host = pick('host') ?? 'localhost'
    if (!host.startsWith('/') && !isIPv6(host) && (host.includes(',') || /[\s@/?:]/.test(host)))
      return wrong(
        'config_bad_value',
        'host',
        host.includes(',') ? 'names several hosts: Postern connects to one' : 'is not a host name',
      )
    const user = pick('user')
    if (user === null)
      return wrong('config_missing', 'user', 'names no user: add user, or put one into the url')
    const port = pick('port') ?? 5432
    const database = pick('database') ?? user
    const target = { host, port, database }
    const writer = readWriter(value, target, at, context)
    if (writer === undefined) return undefined
    const urlRootCert = url.sslRootCert === null ? null : absolutePath(url.sslRootCert, at('url'), context)
    const rootCertFile = urlFirst ? (urlRootCert ?? value.sslRootCert) : (value.sslRootCert ?? urlRootCert)
    const sslRootCert =
      rootCertFile === null ? null : readCertificate(rootCertFile, at('sslRootCert'), context)
    if (sslRootCert === undefined) return undefined
    const prefix = value.tenancy?.rolePrefix
    if (prefix !== undefined && !ROLE_PREFIX.test(prefix))
      return wrong(
        'config_bad_value',
        'tenancy.rolePrefix',
        `cannot begin the name of a role: ${PREFIX_RULE}`,
      )
    if (value.tenancy !== null && writer !== null)
      return wrong(
        'config_conflict',
        'tenancy',
        'stands beside a writing role: in a protected database everybody writes as a role of their tenant',
      )
    if (value.maxConnectionsPerCredential > value.maxConnections)
      return wrong(
        'config_conflict',
        'maxConnectionsPerCredential',
        `is more than maxConnections (${value.maxConnections})`,
      )
    return {
      name: value.name,
      ...target,
      user,
      password: pick('password'),
      sslmode: pick('sslmode') ?? 'prefer',
      sslRootCert,
      writer,
      tenants: value.tenants,
      tenancy: value.tenancy,
      allowSuperuser: value.allowSuperuser,
      maxConnectionsPerCredential: value.maxConnectionsPerCredential,
      maxConnections: value.maxConnections,
      idleTimeoutMs: value.idleTimeout,
      acquireTimeoutMs: value.acquireTimeout,
      connectTimeoutMs: value.connectTimeout,
      statementTimeoutMs: value.statementTimeout,
    }
  }),
)

function readUrl(url: Secret | null, at: Place, context: Context): PostgresUrl | undefined {
  if (url === null) return NO_URL
  const parsed = parsePostgresUrl(url.reveal())
  if (!parsed.ok) {
    context.report.problem('config_bad_value', at, parsed.error)
    return undefined
  }
  for (const name of parsed.value.ignored)
    context.report.warning('config_ignored', at, `has the parameter ${name}, which Postern does not use`)
  return parsed.value
}

function readWriter(
  value: Values,
  target: { readonly host: string; readonly port: number; readonly database: string },
  at: (key: string) => Place,
  context: Context,
): DatabaseSettings['writer'] | undefined {
  if (value.writerUrl === null) return value.writer
  const place = at('writerUrl')
  if (value.writer !== null) {
    context.report.problem('config_conflict', place, 'stands beside writer: keep one of the two')
    return undefined
  }
  const url = readUrl(value.writerUrl, place, context)
  if (!url) return undefined
  if (url.user === null) {
    context.report.problem('config_missing', place, 'names no user')
    return undefined
  }
  const same =
    (url.host ?? 'localhost') === target.host &&
    (url.port ?? 5432) === target.port &&
    (url.database ?? url.user) === target.database
  if (!same) {
    // A preview made in one place and a write done in another would not be the same write.
    context.report.problem(
      'config_conflict',
      place,
      'names another host, port or database than the reading role',
    )
    return undefined
  }
  return { user: url.user, password: url.password }
}

/** A certificate file of this size is not one. */
const LARGEST_CERTIFICATE = 1_048_576

function readCertificate(file: string, at: Place, context: Context): string | undefined {
  let pem: string
  try {
    pem = readFileSync(file, 'utf8')
  } catch (error) {
    const code = systemCode(error) ?? 'unknown error'
    context.report.problem('config_unreadable', at, `names a file that cannot be read (${code}): ${file}`)
    return undefined
  }
  if (pem.length <= LARGEST_CERTIFICATE && pem.includes('-----BEGIN CERTIFICATE-----')) return pem
  context.report.problem('config_bad_value', at, `names a file that holds no PEM certificate: ${file}`)
  return undefined
}
