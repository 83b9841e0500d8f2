import type { EndReason, Lifelines } from '../identity/lifelines.ts'
import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import type { Observe } from '../observe/observation.ts'
import type { Connecting } from './connect.ts'
import { type Connection, type ConnectionKind, LOST } from './connection.ts'
import type { EndedBy } from './exchange.ts'
import { type Opening, Pool, type PoolOwner } from './pool.ts'
import { type Interrupted, Waiter } from './waiter.ts'

export interface PoolsOptions {
  readonly database: string
  readonly maxConnections: number
  readonly maxConnectionsPerCredential: number
  readonly idleTimeoutMs: number
  readonly acquireTimeoutMs: number
  readonly sessionIdleMs: number
  /** Tenants share the database: a caller is told nothing of what others use, and no tenant can take every place. */
  readonly shared: boolean
  /** Throws or rejects with `Fault` when there is no connection to be had. */
  readonly open: (kind: ConnectionKind, tenant: string) => Connecting
  /** A connection ended that nobody here has ended: the database may be away. */
  readonly onLost: () => void
  readonly lifelines: Pick<Lifelines, 'hold'>
  readonly clock: Clock
  readonly observe: Observe
}

const KINDS: readonly ConnectionKind[] = ['read', 'write']
/** Callers of one credential that may wait; more are told at once that the database is busy. */
const MOST_WAITING = 1_000
/** How often deadlines and idle times are looked at. One timer for all, so that a statement costs none. */
const LONGEST_SWEEP_MS = 1_000
/**
 * Of the places of a database that tenants share, how many one of them may have with all of its credentials: its
 * administrators can make as many tokens as they like, and each may keep sessions open.
 */
const mostOfOne = ({ shared, maxConnections }: PoolsOptions): number =>
  shared ? Math.max(1, Math.floor(maxConnections * 0.75)) : maxConnections

/** When the server has no connection left, the next attempt is made after this time. */
const RETRY_FULL_MS = 250

/** All pools of one database: one per credential and tenant, bounded each and together, served fairly. */
export class Pools {
  readonly #options: PoolsOptions
  readonly #pools = new Map<string, Pool>()
  readonly #waitingPools = new Set<Pool>()
  readonly #letGo = new Map<Pool, () => void>()
  readonly #sweepMs: number
  readonly #mostOfTenant: number
  /** Connections of each tenant, also of pools that are closing. */
  readonly #ofTenant = new Map<string, number>()
  /** Free connections being closed, and for whom. */
  readonly #evicted = new Map<Connection, { readonly pool: Pool; readonly kind: ConnectionKind }>()
  #total = 0
  #served = 0
  #sweeping = false
  #retrying = false
  #closed = false

  constructor(options: PoolsOptions) {
    this.#options = options
    this.#mostOfTenant = mostOfOne(options)
    this.#sweepMs = Math.max(
      10,
      Math.min(LONGEST_SWEEP_MS, options.idleTimeoutMs / 4, options.sessionIdleMs / 4),
    )
  }

  get connections(): number {
    return this.#total
  }

  /** Connections that are not free. */
  get busy(): number {
    let count = 0
    for (const pool of this.#pools.values()) count += pool.inUse
    return count
  }

  get waiting(): number {
    let count = 0
    for (const pool of this.#waitingPools) count += pool.waitingCount
    return count
  }

  /** The pool of a credential in a tenant; made when there is none. */
  pool(owner: PoolOwner): Pool {
    const key = keyOf(owner)
    const existing = this.#pools.get(key)
    if (existing !== undefined) return existing
    if (this.#closed) throw new Fault('shutting_down', 'Postern is shutting down')
    const { clock, lifelines } = this.#options
    const pool = new Pool(owner, () => clock.now(), {
      changed: () => {
        if (this.#waitingPools.size > 0) this.#serve()
      },
      ended: (reason) => {
        this.#ended(reason)
      },
      gone: (pool, connection) => {
        this.#gone(pool, connection)
      },
    })
    this.#pools.set(key, pool)
    this.#letGo.set(
      pool,
      lifelines.hold(owner.credentialId, (reason: EndReason) => {
        this.#end(pool, reason)
      }),
    )
    this.#sweepLater()
    return pool
  }

  /**
   * Hands out a connection: at once when one is free, otherwise after waiting in turn. Throws `Fault`
   * (`database_busy` after the deadline, `database_unavailable`).
   */
  acquire(
    owner: PoolOwner,
    kind: ConnectionKind,
    signal: AbortSignal,
  ): Connection | Promise<Connection | Interrupted> {
    const pool = this.pool(owner)
    const free = pool.waiting[kind].length === 0 ? pool.take(kind) : undefined
    if (free !== undefined) return free
    const queue = pool.waiting[kind]
    if (queue.length >= MOST_WAITING) throw this.#busy(pool, 'too many calls are waiting already')
    const waiter = new Waiter<Connection>(
      this.#options.clock,
      this.#options.acquireTimeoutMs,
      signal,
      () => this.#busy(pool, `no connection became free within ${this.#options.acquireTimeoutMs} ms`),
      (left) => {
        const at = queue.indexOf(left)
        if (at !== -1) queue.splice(at, 1)
        this.#settleWaiting(pool)
      },
    )
    queue.push(waiter)
    this.#waitingPools.add(pool)
    this.#serve()
    return waiter.promise
  }

  /** Ends all pools; resolves when every socket is closed. */
  async close(): Promise<void> {
    this.#closed = true
    const closing: Promise<void>[] = []
    for (const pool of this.#pools.values()) {
      for (const connection of pool.connections) closing.push(connection.closed)
      this.#end(pool, 'shutdown')
    }
    await Promise.all(closing)
  }

  #busy(pool: Pool, why: string): Fault {
    const { database, maxConnections, maxConnectionsPerCredential, shared } = this.#options
    const own = `this credential uses ${pool.inUse} of ${maxConnectionsPerCredential} connections`
    const held = shared ? own : `${own}, all together ${this.#total} of ${maxConnections}`
    return new Fault('database_busy', `database "${database}" is busy: ${why} (${held})`, { retryAfterS: 1 })
  }

  /** Serves whoever waits and can be served, the credential that uses least first. */
  #serve(): void {
    for (;;) {
      let best: Pool | null = null
      let bestKind: ConnectionKind = 'read'
      for (const pool of this.#waitingPools) {
        const kind = KINDS.find((kind) => this.#servable(pool, kind))
        if (kind === undefined) continue
        if (best !== null && !before(pool, best)) continue
        best = pool
        bestKind = kind
      }
      if (best === null) return
      this.#serveOne(best, bestKind)
    }
  }

  #servable(pool: Pool, kind: ConnectionKind): boolean {
    const waiting = pool.waiting[kind].length
    if (waiting === 0) return false
    if (pool.idle[kind].length > 0) return true
    let coming = 0
    for (const { kind: openingKind } of pool.openings) if (openingKind === kind) coming += 1
    for (const { pool: other, kind: otherKind } of this.#evicted.values())
      if (other === pool && otherKind === kind) coming += 1
    if (coming >= waiting || this.#retrying) return false
    return this.#hasRoom(pool) || this.#victim(pool) !== null
  }

  #serveOne(pool: Pool, kind: ConnectionKind): void {
    const free = pool.take(kind)
    if (free === undefined) {
      if (this.#hasRoom(pool)) this.#open(pool, kind)
      else this.#evict(pool, kind)
      return
    }
    this.#served += 1
    pool.servedAt = this.#served
    const waiter = pool.waiting[kind].shift()
    this.#settleWaiting(pool)
    waiter?.deliver(free)
  }

  #hasRoom(pool: Pool): boolean {
    const { maxConnections, maxConnectionsPerCredential } = this.#options
    return (
      pool.size < maxConnectionsPerCredential &&
      this.#total < maxConnections &&
      !this.#isFull(pool.owner.tenant)
    )
  }

  #isFull(tenant: string): boolean {
    return (this.#ofTenant.get(tenant) ?? 0) >= this.#mostOfTenant
  }

  #count(tenant: string, by: 1 | -1): void {
    this.#total += by
    const count = (this.#ofTenant.get(tenant) ?? 0) + by
    if (count === 0) this.#ofTenant.delete(tenant)
    else this.#ofTenant.set(tenant, count)
  }

  /**
   * The free connection to close for this pool: one of its own where it has its share, one of its tenant where that has,
   * otherwise the oldest.
   */
  #victim(pool: Pool): { readonly pool: Pool; readonly connection: Connection } | null {
    const share = this.#options.maxConnectionsPerCredential
    const { tenant } = pool.owner
    const all = this.#pools.values()
    const pools =
      pool.size >= share
        ? [pool]
        : this.#isFull(tenant)
          ? all.filter(({ owner }) => owner.tenant === tenant)
          : all
    let victim: { readonly pool: Pool; readonly connection: Connection } | null = null
    for (const pool of pools) {
      const connection = pool.oldestIdle()
      if (connection === undefined) continue
      if (victim === null || connection.usedAt < victim.connection.usedAt) victim = { pool, connection }
    }
    return victim
  }

  /** Makes room by closing a free connection; when it is gone, whoever waits is served again. */
  #evict(pool: Pool, kind: ConnectionKind): void {
    const victim = this.#victim(pool)
    if (victim === null) return
    this.#evicted.set(victim.connection, { pool, kind })
    victim.pool.retire(victim.connection)
  }

  #open(pool: Pool, kind: ConnectionKind): void {
    let connecting: Connecting
    try {
      connecting = this.#options.open(kind, pool.owner.tenant)
    } catch (fault) {
      this.#failed(pool, kind, fault)
      return
    }
    const opening: Opening = {
      kind,
      abort: () => {
        connecting.abort()
      },
    }
    pool.openings.add(opening)
    this.#count(pool.owner.tenant, 1)
    connecting.connection.then(
      (connection) => {
        pool.openings.delete(opening)
        if (pool.closed) {
          this.#count(pool.owner.tenant, -1)
          connection.close()
          return
        }
        pool.add(connection)
        this.#serve()
      },
      (fault: unknown) => {
        pool.openings.delete(opening)
        this.#count(pool.owner.tenant, -1)
        this.#failed(pool, kind, fault)
        this.#serve()
        this.#forgetIfEmpty(pool)
      },
    )
  }

  #failed(pool: Pool, kind: ConnectionKind, fault: unknown): void {
    if (fault instanceof Fault && fault.code === 'database_busy') {
      // The server itself is full: whoever waits keeps waiting until a place is free or the deadline passes.
      this.#retrying = true
      this.#options.clock.after(RETRY_FULL_MS, () => {
        this.#retrying = false
        this.#serve()
      })
      return
    }
    const error = fault instanceof Error ? fault : new Error(String(fault))
    for (const waiter of pool.waiting[kind].splice(0)) waiter.fail(error)
    this.#settleWaiting(pool)
  }

  #settleWaiting(pool: Pool): void {
    if (pool.waitingCount > 0) return
    this.#waitingPools.delete(pool)
    this.#forgetIfEmpty(pool)
  }

  #ended(reason: string | null): void {
    const { observe, database, onLost } = this.#options
    if (reason !== null) observe({ kind: 'database.connection_destroyed', database, reason })
    if (reason === LOST) onLost()
  }

  #gone(pool: Pool, connection: Connection): void {
    this.#count(pool.owner.tenant, -1)
    this.#evicted.delete(connection)
    if (this.#waitingPools.size > 0) this.#serve()
    this.#forgetIfEmpty(pool)
  }

  #end(pool: Pool, by: EndedBy): void {
    // First out of the map: a caller whose credential is still good then gets a new pool.
    this.#forget(pool)
    this.#waitingPools.delete(pool)
    pool.end(by)
  }

  #forgetIfEmpty(pool: Pool): void {
    if (pool.empty) this.#forget(pool)
  }

  #forget(pool: Pool): void {
    const key = keyOf(pool.owner)
    if (this.#pools.get(key) === pool) this.#pools.delete(key)
    this.#letGo.get(pool)?.()
    this.#letGo.delete(pool)
  }

  #sweepLater(): void {
    if (this.#sweeping || this.#pools.size === 0) return
    this.#sweeping = true
    this.#options.clock.after(this.#sweepMs, () => {
      this.#sweeping = false
      this.#sweep(this.#options.clock.now())
      this.#sweepLater()
    })
  }

  #sweep(now: number): void {
    const { idleTimeoutMs, sessionIdleMs } = this.#options
    for (const pool of this.#pools.values()) {
      for (const connection of pool.connections) {
        if (connection.deadlineAt < now) connection.destroy('the server did not answer in time', 'deadline')
      }
      const unused = [...pool.idle.read, ...pool.idle.write].filter(
        ({ usedAt }) => usedAt + idleTimeoutMs <= now,
      )
      for (const connection of unused) pool.retire(connection)
      for (const session of pool.sessions.values()) {
        if (session.busy || session.usedAt + sessionIdleMs > now) continue
        if (session.connection === null) pool.sessions.delete(session.name)
        else pool.closeSession(session, `it was not used for ${Math.round(sessionIdleMs / 1000)} s`)
      }
      this.#forgetIfEmpty(pool)
    }
  }
}

/** Neither name is Postern's to choose: what could be read as two owners must not be one key. */
const keyOf = ({ credentialId, tenant }: PoolOwner): string => JSON.stringify([credentialId, tenant])

const before = (a: Pool, b: Pool): boolean =>
  a.inUse === b.inUse ? a.servedAt < b.servedAt : a.inUse < b.inUse
