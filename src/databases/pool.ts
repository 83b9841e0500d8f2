import type { Connection, ConnectionKind, ConnectionOwner } from './connection.ts'
import type { EndedBy } from './exchange.ts'
import type { Session } from './session.ts'
import type { Waiter } from './waiter.ts'

/** What the pools of one database are told by each of them. */
export interface PoolListener {
  /** A connection became free, or its place did. */
  changed(pool: Pool): void
  /** A connection can no longer be used; `reason` is `null` where that was planned. */
  ended(reason: string | null): void
  /** The place of a connection is free again. */
  gone(pool: Pool, connection: Connection): void
}

/** Whose connections a pool has. Nothing passes between two of them. */
export interface PoolOwner {
  readonly credentialId: string
  /** Part of it because a static token may be given to another tenant under the same id. */
  readonly tenant: string
}

/** A connection on its way. */
export interface Opening {
  readonly kind: ConnectionKind
  abort(): void
}

/**
 * The connections of one credential, in one tenant, to one database. A connection never leaves the pool it was opened
 * for: that, and not a clean-up, is why one credential cannot see what another left behind.
 */
export class Pool implements ConnectionOwner {
  readonly owner: PoolOwner
  /** Free connections, the most recently used last. */
  readonly idle: Readonly<Record<ConnectionKind, Connection[]>> = { read: [], write: [] }
  readonly connections = new Set<Connection>()
  readonly openings = new Set<Opening>()
  /** Callers that wait, in the order they came. */
  readonly waiting: Readonly<Record<ConnectionKind, Waiter<Connection>[]>> = { read: [], write: [] }
  readonly sessions = new Map<string, Session>()
  /** Connections that belong to a session. */
  readonly pinned = new Map<Connection, Session>()
  readonly #listener: PoolListener
  readonly #now: () => number
  /** Counts up with every connection handed out, so that the pool served longest ago is known. */
  servedAt = 0
  closed = false

  constructor(owner: PoolOwner, now: () => number, listener: PoolListener) {
    this.owner = owner
    this.#now = now
    this.#listener = listener
  }

  /** Connections, those on their way included. */
  get size(): number {
    return this.connections.size + this.openings.size
  }

  /** Connections that are not free. */
  get inUse(): number {
    return this.size - this.idle.read.length - this.idle.write.length
  }

  get waitingCount(): number {
    return this.waiting.read.length + this.waiting.write.length
  }

  get empty(): boolean {
    return this.size === 0 && this.waitingCount === 0 && this.sessions.size === 0
  }

  /** Takes a free connection of the kind out of the idle ones. */
  take(kind: ConnectionKind): Connection | undefined {
    return this.idle[kind].pop()
  }

  /** The free connection that was used longest ago. */
  oldestIdle(): Connection | undefined {
    const [read] = this.idle.read
    const [write] = this.idle.write
    if (read === undefined || write === undefined) return read ?? write
    return read.usedAt <= write.usedAt ? read : write
  }

  /** Takes in a connection that has just been opened. */
  add(connection: Connection): void {
    if (connection.tenant !== this.owner.tenant) throw new TypeError('a connection of another tenant')
    connection.owner = this
    connection.usedAt = this.#now()
    this.connections.add(connection)
    this.idle[connection.kind].push(connection)
  }

  finished(connection: Connection, clean: boolean): void {
    if (!connection.alive) return
    connection.usedAt = this.#now()
    const session = this.pinned.get(connection)
    if (session !== undefined && clean) {
      session.release(connection)
    } else if (clean && connection.transactionStatus === 'I') {
      this.idle[connection.kind].push(connection)
      this.#listener.changed(this)
    } else {
      connection.discard('a statement left something that could not be cleaned up')
    }
  }

  gone(connection: Connection): void {
    this.connections.delete(connection)
    this.#listener.gone(this, connection)
  }

  ended(connection: Connection, reason: string | null): void {
    this.#forgetIdle(connection)
    const session = this.pinned.get(connection)
    this.pinned.delete(connection)
    session?.lose(reason ?? 'it was closed')
    this.#listener.ended(reason)
  }

  /** Closes a free connection; its place is free again when the server has hung up. */
  retire(connection: Connection): void {
    this.#forgetIdle(connection)
    connection.retire(this.#now())
  }

  /** Closes the connection of a session that is not in use; its name stays to tell the next caller why. */
  closeSession(session: Session, reason: string): void {
    const { connection } = session
    session.lose(reason)
    if (connection === null) return
    this.pinned.delete(connection)
    connection.retire(this.#now())
  }

  #forgetIdle(connection: Connection): void {
    const idle = this.idle[connection.kind]
    const at = idle.indexOf(connection)
    if (at !== -1) idle.splice(at, 1)
  }

  /** Ends everything at once: running statements are cancelled, waiting callers answered. */
  end(by: EndedBy): void {
    this.closed = true
    for (const queue of [this.waiting.read, this.waiting.write]) {
      for (const waiter of queue.splice(0)) waiter.interrupt(by)
    }
    for (const session of this.sessions.values()) session.end(by)
    this.sessions.clear()
    for (const opening of this.openings) opening.abort()
    for (const connection of this.connections) {
      if (connection.busy) connection.destroy(`its credential ended: ${by}`, by)
      else connection.close()
      // Whoever shuts down does not wait for a statement that cannot be stopped.
      if (by === 'shutdown') connection.abandon()
    }
  }
}
