import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import type { Observe } from '../observe/observation.ts'
import { readRevisions } from '../store/changes.ts'
import type { Store } from '../store/open.ts'
import { findTokenByHash, findTokenById, readTokensAfter, type TokenRow } from '../store/tokens.ts'
import { BoundedMap } from '../lib/bounded-map.ts'
import type { Expiries } from './expiries.ts'
import { Following } from './following.ts'
import type { Allowed, Level } from './grant.ts'
import { LEVELS } from './grant.ts'
import { type Known, sameRights, toKnown } from './known.ts'
import type { Lifelines } from './lifelines.ts'
import type { EndCredential } from './loaded-tokens.ts'

/** Tokens held in memory, about 1 KB each. */
const MOST_KNOWN = 20_000

/** Invented tokens have a cache of their own, so that a flood of them cannot push out good ones. */
const MOST_UNKNOWN = 10_000

/** Look-ups under way at once; more than this is an attack or a dead store, and waiting helps neither. */
const MOST_LOOKUPS = 1_000

/** More of them, for hashes that were good before: a flood of invented tokens leaves room for the known ones. */
const RESERVED_LOOKUPS = 250

/** Hashes that were good when they were last looked up, about 150 bytes each. */
const MOST_FAMILIAR = 100_000

/** More changed rows than this at once are not gone through one by one. */
const MOST_CHANGES = 5_000

/** How often credentials that hold nothing any more are dropped. */
const SWEEP_EVERY_MS = 60_000

/** What the store says about a hash. */
export type IssuedAnswer =
  | { readonly status: 'known'; readonly known: Known; readonly checkedAt: number }
  | { readonly status: 'revoked'; readonly credentialId: string; readonly checkedAt: number }
  | { readonly status: 'unknown'; readonly checkedAt: number }

/**
 * Tokens in the store: looked up by hash, remembered in two bounded caches, and kept true by the change
 * feed. Only hashes are ever kept.
 */
export class IssuedTokens {
  readonly #store: Store
  readonly #clock: Clock
  readonly #observe: Observe
  readonly #end: EndCredential
  readonly #lifelines: Lifelines
  readonly #expiries: Expiries
  readonly #good = new BoundedMap<string, IssuedAnswer>(MOST_KNOWN)
  readonly #bad = new BoundedMap<string, IssuedAnswer>(MOST_UNKNOWN)
  /** Everything that may hold something open, also when the cache has dropped it. */
  readonly #live = new Map<string, { known: Known; usedAt: number }>()
  /** Outlives the caches: says who is let through to the store first, never who is let in. */
  readonly #familiar = new BoundedMap<string, true>(MOST_FAMILIAR)
  readonly #lookups = new Map<string, Promise<IssuedAnswer>>()
  #revision = 0
  readonly #following: Following
  #cancelSweep: (() => void) | undefined

  constructor(parts: {
    readonly store: Store
    readonly clock: Clock
    readonly observe: Observe
    readonly lifelines: Lifelines
    readonly expiries: Expiries
    readonly end: EndCredential
  }) {
    this.#store = parts.store
    this.#clock = parts.clock
    this.#observe = parts.observe
    this.#lifelines = parts.lifelines
    this.#expiries = parts.expiries
    this.#end = parts.end
    this.#following = new Following({
      store: parts.store,
      topic: 'tokens',
      clock: parts.clock,
      observe: parts.observe,
      take: () => this.#takeChanges(),
      unverified: () => {
        for (const id of this.#live.keys()) if (this.#lifelines.holds(id)) this.#end(id, 'changed')
      },
    })
  }

  async start(): Promise<void> {
    this.#following.start()
    const revisions = await readRevisions(this.#store.db)
    this.#revision = revisions.find(({ topic }) => topic === 'tokens')?.revision ?? 0
    this.#sweepLater()
  }

  /** At once when the answer is remembered and can be trusted; otherwise the store is asked. */
  find(hash: string, now: number): IssuedAnswer | Promise<IssuedAnswer> {
    const answer = this.#good.get(hash) ?? this.#bad.get(hash)
    if (answer && this.#following.trusts(answer.checkedAt, now)) return answer
    return this.#lookup(hash)
  }

  /** True while revocations made elsewhere arrive in time; a change that is being read does not count. */
  ready(now: number): boolean {
    return this.#following.ready(now)
  }

  /** Reads what changed and acts on it. Resolves also when the store does not answer. */
  async refresh(): Promise<void> {
    await this.#following.refresh()
  }

  /**
   * Takes over rows that this process has just written: acts on them at once, then reads what else was
   * announced, so that its own write leaves nothing pending.
   */
  async takeOver(...rows: readonly TokenRow[]): Promise<void> {
    for (const row of rows) this.#apply(row)
    await this.refresh()
  }

  /** Ends everything of a tenant that was deleted. */
  endTenant(tenant: string): void {
    for (const [id, { known }] of this.#live) {
      if (known.caller.grant.tenant !== tenant) continue
      this.#live.delete(id)
      this.#good.delete(known.hash)
      this.#familiar.delete(known.hash)
      this.#expiries.forget(id)
      this.#end(id, 'revoked')
    }
  }

  #apply(row: TokenRow): void {
    this.#bad.delete(row.hash)
    if (row.revokedAt !== null) {
      const wasOpen = this.#live.delete(row.id)
      this.#good.delete(row.hash)
      this.#familiar.delete(row.hash)
      this.#expiries.forget(row.id)
      if (wasOpen || this.#lifelines.holds(row.id)) this.#end(row.id, 'revoked')
      return
    }
    const live = this.#live.get(row.id)
    if (!live) {
      // What is held without being known here must prove itself again.
      this.#good.delete(row.hash)
      return
    }
    const known = knownFromRow(row)
    const changed = !sameRights(live.known, known)
    live.known = known
    this.#good.set(row.hash, { status: 'known', known, checkedAt: this.#clock.now() })
    this.#expiries.set(row.id, row.expiresAt)
    if (changed) this.#end(row.id, 'changed')
  }

  /** Everything held in memory, for measuring. */
  get sizes(): { readonly good: number; readonly bad: number; readonly live: number } {
    return { good: this.#good.size, bad: this.#bad.size, live: this.#live.size }
  }

  async close(): Promise<void> {
    this.#cancelSweep?.()
    await this.#following.close()
    await Promise.allSettled(this.#lookups.values())
  }

  #lookup(hash: string): Promise<IssuedAnswer> {
    const underWay = this.#lookups.get(hash)
    if (underWay) return underWay
    const most = this.#familiar.has(hash) ? MOST_LOOKUPS + RESERVED_LOOKUPS : MOST_LOOKUPS
    if (this.#lookups.size >= most) {
      return Promise.reject(
        new Fault('store_unavailable', 'too many credentials are being checked', { retryAfterS: 1 }),
      )
    }
    const lookup = this.#ask(hash).finally(() => this.#lookups.delete(hash))
    this.#lookups.set(hash, lookup)
    return lookup
  }

  async #ask(hash: string): Promise<IssuedAnswer> {
    for (let attempt = 1; ; attempt += 1) {
      const { generation } = this.#following
      const row = await findTokenByHash(this.#store.db, hash)
      const answer = this.#answerOf(row)
      // A change was announced while the row was read: the row may be from before it. Read again.
      if (generation === this.#following.generation) return this.#remember(hash, answer)
      // Under changes without end the freshest read is the answer, but nothing that is kept.
      if (attempt === 5) return answer
    }
  }

  #answerOf(row: TokenRow | undefined): IssuedAnswer {
    const checkedAt = this.#clock.now()
    if (!row) return { status: 'unknown', checkedAt }
    if (row.revokedAt !== null) return { status: 'revoked', credentialId: row.id, checkedAt }
    return { status: 'known', known: knownFromRow(row), checkedAt }
  }

  #remember(hash: string, answer: IssuedAnswer): IssuedAnswer {
    if (answer.status !== 'known') {
      this.#good.delete(hash)
      this.#familiar.delete(hash)
      this.#bad.set(hash, answer)
      return answer
    }
    const { id, expiresAt } = answer.known.caller.credential
    this.#good.set(hash, answer)
    this.#familiar.set(hash, true)
    const live = this.#live.get(id)
    if (live) {
      live.known = answer.known
      live.usedAt = answer.checkedAt
    } else {
      this.#live.set(id, { known: answer.known, usedAt: answer.checkedAt })
    }
    this.#expiries.set(id, expiresAt)
    return answer
  }

  async #takeChanges(): Promise<void> {
    const rows = await readTokensAfter(this.#store.db, this.#revision, MOST_CHANGES + 1)
    if (rows.length > MOST_CHANGES) return await this.#startOver()
    for (const row of rows) {
      this.#apply(row)
      this.#revision = Math.max(this.#revision, row.revision)
    }
    if (rows.length > 0) this.#observe({ kind: 'tokens.reloaded', source: 'store', changed: rows.length })
  }

  /** After an import of many tokens: forgets the caches and asks only for what may be open. */
  async #startOver(): Promise<void> {
    const revisions = await readRevisions(this.#store.db)
    const revision = revisions.find(({ topic }) => topic === 'tokens')?.revision ?? this.#revision
    this.#good.clear()
    this.#bad.clear()
    for (const [id, { known }] of this.#live) {
      const row = await findTokenById(this.#store.db, id)
      if (row?.hash === known.hash) this.#apply(row)
      else {
        this.#live.delete(id)
        this.#expiries.forget(id)
        this.#end(id, 'revoked')
      }
    }
    this.#revision = revision
    this.#observe({ kind: 'tokens.reloaded', source: 'store' })
  }

  #sweep(): void {
    const before = this.#clock.now() - SWEEP_EVERY_MS
    for (const [id, { known, usedAt }] of this.#live) {
      // Recently used ones stay: their caller may be about to open something.
      if (usedAt > before || this.#good.has(known.hash) || this.#lifelines.holds(id)) continue
      this.#live.delete(id)
      this.#expiries.forget(id)
    }
  }

  #sweepLater(): void {
    this.#cancelSweep = this.#clock.after(SWEEP_EVERY_MS, () => {
      this.#sweep()
      this.#sweepLater()
    })
  }
}

/** A row with a level that no version knows gets the lowest one. */
export function knownFromRow(row: TokenRow): Known {
  const all = (names: readonly string[] | null): Allowed => names ?? 'all'
  const level: Level = LEVELS.find((name) => name === row.level) ?? 'read-only'
  return toKnown('issued', {
    ...row,
    level,
    databases: all(row.databases),
    servers: all(row.servers),
    scopes: all(row.scopes),
  })
}
