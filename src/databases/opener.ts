import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import type { Availability } from './availability.ts'
import { type Connecting, connect, type Login } from './connect.ts'
import { describeConnectError, isServerFull } from './connect-error.ts'
import type { Connection, ConnectionKind } from './connection.ts'
import type { DatabaseOptions } from './options.ts'

export interface OpenerOptions {
  readonly options: DatabaseOptions
  readonly sessionIdleMs: number
  readonly availability: Availability
  readonly clock: Clock
  /** Takes cancel requests that are under way, so that closing can wait for them. */
  readonly track: (cancel: Promise<void>) => void
  /** A connection was made and may be used. */
  readonly onReached: () => void
}

/**
 * Opens connections and keeps the database's availability true. What it returns throws or rejects with
 * `Fault` (`database_unavailable`, `database_busy`).
 */
export function opener(opened: OpenerOptions): (kind: ConnectionKind) => Connecting {
  const { options, availability, clock } = opened
  return (kind) => {
    availability.admit(kind)
    const login: Login =
      kind === 'write' && options.writer !== null
        ? { kind, ...options.writer }
        : { kind, user: options.user, password: options.password }
    let abandoned = false
    const connecting = connect(options, login, opened.sessionIdleMs, clock, opened.track)
    const connection = connecting.connection.then(
      (connection) => {
        const objection = objectTo(connection, options, login)
        if (objection !== null) {
          connection.close()
          throw availability.refuse(kind, objection)
        }
        availability.reached(kind, connection.parameter('server_version')?.split(' ')[0] ?? null)
        opened.onReached()
        return connection
      },
      (error: unknown) => {
        if (abandoned) {
          availability.undecided(kind)
          throw availability.fault(error)
        }
        const message = describeConnectError(error, options, login.user)
        if (!isServerFull(error)) throw availability.down(kind, message, new Error(message))
        availability.undecided(kind)
        throw new Fault('database_busy', `database "${options.name}" has no connection left`, {
          retryAfterS: 1,
          cause: new Error(message),
        })
      },
    )
    return {
      connection,
      abort: () => {
        abandoned = true
        connecting.abort()
      },
    }
  }
}

/** Why a fresh connection must not be used, from what the server reported during start-up; `null` if it may. */
function objectTo(connection: Connection, options: DatabaseOptions, login: Login): string | null {
  if (connection.parameter('is_superuser') === 'on' && !options.allowSuperuser) {
    return `role "${login.user}" is a superuser, which no wall holds: use a role that can only read, or set allowSuperuser`
  }
  const readOnly = connection.parameter('default_transaction_read_only')
  if (login.kind === 'read' && readOnly !== undefined && readOnly !== 'on') {
    return 'the read-only setting of the start-up packet had no effect: connect to PostgreSQL itself, not through a pooler that drops it'
  }
  return null
}
