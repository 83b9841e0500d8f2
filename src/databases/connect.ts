import { Client, DatabaseError, escapeIdentifier } from 'pg'
import type { Clock } from '../lib/clock.ts'
import { cancelRequest } from './cancel-request.ts'
import { Connection, type ConnectionKind } from './connection.ts'
import type { Login } from './logins.ts'
import type { DatabaseOptions } from './options.ts'
import { readingSocket } from './reading-socket.ts'
import { type Encryption, tlsPlan } from './tls.ts'

/** A connection on its way; `abort` ends it at once. */
export interface Connecting {
  readonly connection: Promise<Connection>
  abort(): void
}

/**
 * Settings that go with the start-up packet. They win over those of the role and of the database, and
 * DISCARD ALL comes back to them. `standard_conforming_strings` makes the server read literals the way the
 * gate's parser does; `TimeZone` stays what the role has, and so does `search_path` where none is given.
 */
function startupSettings(
  kind: ConnectionKind,
  statementTimeoutMs: number,
  idleInTransactionMs: number,
  searchPath: readonly string[] | null,
): string {
  const settings = {
    ...(kind === 'read' ? { default_transaction_read_only: 'on' } : {}),
    statement_timeout: String(statementTimeoutMs),
    idle_in_transaction_session_timeout: String(idleInTransactionMs),
    standard_conforming_strings: 'on',
    DateStyle: 'ISO',
    bytea_output: 'hex',
    extra_float_digits: '1',
    client_min_messages: 'error',
    ...(searchPath === null ? {} : { search_path: searchPath.map(escapeIdentifier).join(',') }),
  }
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value.replaceAll(/[\\\s]/g, '\\$&')}`)
    .join(' ')
}

/** `pg` knows these; its types do not. */
interface BackendKey {
  readonly processID: number
  readonly secretKey: number
}

interface ParameterStatus {
  readonly parameterName: string
  readonly parameterValue: string
}

/** System errors that mean nobody was reached: trying again without TLS would find nobody either. */
const UNREACHED = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENOENT'])
/** No `pg_hba.conf` line for this connection: there may be one for it without TLS (libpq tries that, too). */
const NO_SUCH_ENTRY = '28000'

function worthTryingPlain(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (error instanceof DatabaseError) return code === NO_SUCH_ENTRY
  return !UNREACHED.has(code)
}

/**
 * Opens a connection: `pg` does start-up, TLS and authentication, then the socket is taken over, because
 * one buffer per exchange, decoding by type and a bound on every message need their own reader.
 */
export function connect(
  options: DatabaseOptions,
  login: Login,
  sessionIdleMs: number,
  clock: Clock,
  track: (cancel: Promise<void>) => void,
  searchPath: readonly string[] | null = null,
): Connecting {
  let current: Client | null = null
  let aborted: Error | null = null
  const abort = (error: Error): void => {
    aborted ??= error
    current?.connection.stream.destroy(aborted)
  }
  const stopTimer = clock.after(options.connectTimeoutMs, () => {
    abort(new Error(`no answer within ${options.connectTimeoutMs} ms`))
  })

  const attempt = async (encryption: Encryption): Promise<Connection> => {
    if (aborted !== null) throw aborted
    // Under TLS the bytes come out of the decryption, which has memory of its own.
    const plain = encryption === false ? readingSocket() : null
    const client = new Client({
      ...(plain === null ? {} : { stream: () => plain.socket }),
      host: options.host,
      port: options.port,
      database: options.database,
      user: login.user,
      // A function, so that `pg` looks neither at PGPASSWORD nor for a password file.
      password: () => login.password?.reveal() ?? '',
      ssl: encryption,
      sslnegotiation: 'postgres',
      enableChannelBinding: encryption !== false,
      application_name: 'postern',
      options: startupSettings(login.kind, options.statementTimeoutMs, sessionIdleMs, searchPath),
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    })
    current = client
    client.on('error', () => {
      // After start-up the connection watches the socket itself.
    })
    const parameters = new Map<string, string>()
    client.connection.on('parameterStatus', ({ parameterName, parameterValue }: ParameterStatus) => {
      parameters.set(parameterName, parameterValue)
    })
    try {
      await client.connect()
    } catch (error) {
      client.connection.stream.destroy()
      throw aborted ?? error
    }
    const socket = client.connection.stream
    socket.removeAllListeners('data')
    plain?.lend()
    const { processID, secretKey } = client as unknown as BackendKey
    const target = { host: options.host, port: options.port, encryption, processID, secretKey }
    const cancel = (): Promise<boolean> => {
      const cancelled = cancelRequest(target, clock, options.connectTimeoutMs)
      track(cancelled.then(() => undefined))
      return cancelled
    }
    return new Connection({ kind: login.kind, tenant: login.tenant, searchPath, socket, parameters, cancel })
  }

  const establish = async (): Promise<Connection> => {
    const [first = false, ...rest] = tlsPlan(options)
    try {
      return await attempt(first)
    } catch (error) {
      const [second] = rest
      if (second === undefined || aborted !== null || !worthTryingPlain(error)) throw error
      return attempt(second)
    }
  }

  return {
    connection: establish().finally(stopTimer),
    abort: () => {
      abort(new Error('no longer wanted'))
    },
  }
}
