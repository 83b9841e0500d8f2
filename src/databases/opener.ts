import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import type { Availability } from './availability.ts'
import { type Connecting, connect } from './connect.ts'
import { describeConnectError, isServerFull } from './connect-error.ts'
import type { Connection, ConnectionKind } from './connection.ts'
import type { Login, LoginFor } from './logins.ts'
import type { DatabaseOptions } from './options.ts'

export interface OpenerOptions {
  readonly options: DatabaseOptions
  readonly loginFor: LoginFor
  readonly sessionIdleMs: number
  readonly availability: Availability
  readonly clock: Clock
  /** Takes cancel requests that are under way, so that closing can wait for them. */
  readonly track: (cancel: Promise<void>) => void
  /** A connection was made and may be used. */
  readonly onReached: () => void
}

/** What `Pools` opens connections with. Throws or rejects with `Fault` (`database_unavailable`, `database_busy`). */
export type Open = (kind: ConnectionKind, tenant: string) => Connecting

/** Opens connections as the configured roles and keeps the database's availability true. */
export function opener(opened: OpenerOptions): Open {
  const { options, availability, clock } = opened
  return (kind, tenant) => {
    availability.admit(kind)
    const login = opened.loginFor(kind, tenant)
    let abandoned = false
    const connecting = connect(options, login, opened.sessionIdleMs, clock, opened.track)
    const connection = connecting.connection.then(
      (connection) => {
        const objection = objectTo(connection, login, options.allowSuperuser)
        if (objection !== null) {
          connection.close()
          throw availability.refuse(kind, objection)
        }
        noteReached(opened, connection)
        return connection
      },
      (error: unknown) => {
        throw notConnected(opened, login, error, abandoned)
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

type Noted = Pick<OpenerOptions, 'options' | 'availability' | 'onReached'>

export function noteReached({ availability, onReached }: Noted, connection: Connection): void {
  availability.reached(connection.kind, connection.parameter('server_version')?.split(' ')[0] ?? null)
  onReached()
}

/** What callers are told of an attempt that failed, after the availability has been told. */
export function notConnected(
  { availability, options }: Noted,
  { kind, user }: Login,
  error: unknown,
  abandoned: boolean,
): Fault {
  if (abandoned) {
    availability.undecided(kind)
    return availability.fault(error)
  }
  const message = describeConnectError(error, options, user)
  if (!isServerFull(error)) return availability.down(kind, message, new Error(message))
  availability.undecided(kind)
  return new Fault('database_busy', `database "${options.name}" has no connection left`, {
    retryAfterS: 1,
    cause: new Error(message),
  })
}

/** Why a fresh connection must not be used, from what the server reported during start-up; `null` if it may. */
export function objectTo(connection: Connection, login: Login, allowSuperuser: boolean): string | null {
  if (connection.parameter('is_superuser') === 'on' && !allowSuperuser) {
    return `role "${login.user}" is a superuser, which no wall holds: use a role that can only read, or set allowSuperuser`
  }
  const readOnly = connection.parameter('default_transaction_read_only')
  if (login.kind === 'read' && readOnly !== undefined && readOnly !== 'on') {
    return 'the read-only setting of the start-up packet had no effect: connect to PostgreSQL itself, not through a pooler that drops it'
  }
  return null
}
