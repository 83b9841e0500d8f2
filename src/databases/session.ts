import type { Connection, ConnectionKind } from './connection.ts'
import type { EndedBy } from './exchange.ts'
import type { Waiter } from './waiter.ts'

/** What a caller may name a session. */
export const SESSION_NAME = /^[A-Za-z0-9._-]{1,64}$/

/**
 * A connection that a credential keeps under a name, with what lives on it: temporary tables, settings,
 * prepared statements. One statement at a time; others wait in turn.
 */
export class Session {
  readonly name: string
  readonly kind: ConnectionKind
  /** `null` before the first use, and again after the connection was lost. */
  connection: Connection | null = null
  readonly waiting: Waiter<Connection>[] = []
  busy = false
  usedAt: number
  /** Why the connection is gone. The next call is told so instead of silently getting a fresh one. */
  lost: string | null = null
  readonly #now: () => number

  constructor(name: string, kind: ConnectionKind, now: () => number) {
    this.name = name
    this.kind = kind
    this.#now = now
    this.usedAt = now()
  }

  /** A statement has ended: the next caller in turn gets the connection. */
  release(connection: Connection): void {
    this.usedAt = this.#now()
    const next = this.waiting.shift()
    this.busy = next !== undefined
    next?.deliver(connection)
  }

  lose(reason: string): void {
    this.connection = null
    this.busy = false
    this.usedAt = this.#now()
    this.lost = reason
    for (const waiter of this.waiting.splice(0)) waiter.interrupt('session')
  }

  end(by: EndedBy): void {
    for (const waiter of this.waiting.splice(0)) waiter.interrupt(by)
  }
}
