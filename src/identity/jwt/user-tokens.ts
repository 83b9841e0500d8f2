import { uuidv7 } from 'uuidv7'
import type { Clock } from '../../lib/clock.ts'
import type { Secret } from '../../lib/secret.ts'
import type { Observe } from '../../observe/observation.ts'
import { readRevisions } from '../../store/changes.ts'
import type { Store } from '../../store/open.ts'
import {
  deleteRevokedJwtsBefore,
  insertRevokedJwt,
  isRevokedJwt,
  readRevokedJwtsAfter,
} from '../../store/revoked-jwts.ts'
import { deleteUsersDeletedBefore, findUserById, readUsersAfter, type UserRow } from '../../store/users.ts'
import { BoundedMap } from '../../lib/bounded-map.ts'
import type { Expiries } from '../expiries.ts'
import { Following } from '../following.ts'
import type { Known } from '../known.ts'
import type { Lifelines } from '../lifelines.ts'
import type { EndCredential } from '../loaded-tokens.ts'
import { levelOfRow } from '../users/user-of-row.ts'
import type { Claims, JwtRules } from './claims.ts'
import type { JwtKeys } from './key-files.ts'
import type { PublicJwk } from './key-ring.ts'
import { signJwt } from './sign.ts'
import { verifyJwt } from './verify.ts'

/** JWTs held in memory, about 1 KB each. */
const MOST_KNOWN = 20_000
const MOST_REVOKED = 10_000

/** More changed rows than this at once are not gone through one by one. */
const MOST_CHANGES = 5_000

/** How often JWTs that hold nothing any more are dropped. */
const SWEEP_EVERY_MS = 60_000

/** A deleted user's row has told everybody by then. */
const KEEP_DELETED_MS = 30 * 86_400_000

/** Ids of these credentials; no other source may use this prefix. The rest is the `jti`. */
export const JWT_ID_PREFIX = 'jwt_'

export type JwtAnswer =
  | { readonly status: 'known'; readonly known: Known; readonly checkedAt: number }
  | { readonly status: 'expired' | 'revoked'; readonly credentialId: string }
  | { readonly status: 'unknown' }

interface Live {
  readonly known: Known
  readonly claims: Claims
  /** Of the key that verified it. */
  readonly kid: string
  usedAt: number
}

/** A JWT that was just issued. */
export interface IssuedJwt {
  readonly token: Secret
  readonly expiresInS: number
  readonly known: Known
}

/** True for what cannot be anything but a JWT: three parts, the first of which begins with `{"`. */
export const looksLikeJwt = (token: string): boolean => /^eyJ[\w-]*\.[\w-]+\.[\w-]*$/.test(token)

/**
 * JWTs of users: signed here, verified, remembered by hash, and ended before their time: by the change feed, one by its
 * `jti` and all of a user by the user's epoch; and all that a key has verified as the key goes away.
 */
export class UserTokens {
  readonly #store: Store
  readonly #clock: Clock
  readonly #end: EndCredential
  readonly #lifelines: Lifelines
  readonly #expiries: Expiries
  readonly #keys: JwtKeys
  readonly #rules: JwtRules
  readonly #following: Following
  readonly #good = new BoundedMap<string, JwtAnswer & { readonly status: 'known' }>(MOST_KNOWN)
  /** Hashes of what was ended; that is never undone. */
  readonly #revoked = new BoundedMap<string, JwtAnswer>(MOST_REVOKED)
  /** Everything that may hold something open, by credential id. */
  readonly #live = new Map<string, Live>()
  readonly #byUser = new Map<string, Set<string>>()
  /** Of each table by itself: two reads of one revision would step over what is written between them. */
  #usersRevision = 0
  #revokedRevision = 0
  #cancelSweep: (() => void) | undefined

  constructor(parts: {
    readonly store: Store
    readonly clock: Clock
    readonly observe: Observe
    readonly lifelines: Lifelines
    readonly expiries: Expiries
    readonly end: EndCredential
    readonly keys: JwtKeys
    readonly rules: JwtRules
  }) {
    this.#store = parts.store
    this.#clock = parts.clock
    this.#lifelines = parts.lifelines
    this.#expiries = parts.expiries
    this.#end = parts.end
    this.#keys = parts.keys
    this.#rules = parts.rules
    this.#following = new Following({
      store: parts.store,
      topic: 'users',
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
    const revision = revisions.find(({ topic }) => topic === 'users')?.revision ?? 0
    this.#usersRevision = revision
    this.#revokedRevision = revision
    await this.#keys.watch(() => {
      this.#endWithoutKey()
    })
    this.#sweepLater()
  }

  /** Forgets what no JWT can need any more. */
  async cleanUp(): Promise<void> {
    const now = this.#clock.now()
    await deleteRevokedJwtsBefore(this.#store.db, now)
    await deleteUsersDeletedBefore(this.#store.db, now - KEEP_DELETED_MS)
  }

  async issue(row: UserRow): Promise<IssuedJwt> {
    const issuedAt = Math.floor(this.#clock.now() / 1_000)
    const claims: Claims = {
      userId: row.id,
      tenant: row.tenant,
      admin: row.level === 'admin',
      epoch: row.epoch,
      jti: uuidv7(),
      issuedAt,
      expiresAt: issuedAt + this.#rules.ttlSeconds,
    }
    const token = await signJwt(claims, this.#keys.ring, this.#rules)
    return { token, expiresInS: this.#rules.ttlSeconds, known: knownOf(claims, row, '') }
  }

  /** At once when the answer is remembered and can be trusted; otherwise the signature is checked and the store asked. */
  find(token: string, digest: string, now: number): JwtAnswer | Promise<JwtAnswer> {
    const good = this.#good.get(digest)
    if (good && this.#following.trusts(good.checkedAt, now)) return good
    return this.#revoked.get(digest) ?? this.#ask(token, digest, now)
  }

  /** For others who verify our tokens; none where one secret signs and verifies. */
  publicKeys(): readonly PublicJwk[] {
    return this.#keys.ring.publicKeys(this.#clock.now())
  }

  /** Looks at the key files at once. */
  async reloadKeys(): Promise<void> {
    await this.#keys.refresh()
  }

  ready(now: number): boolean {
    return this.#following.ready(now)
  }

  /** Ends one JWT before its time, on every replica; answers whether this call did it. */
  async revoke(credentialId: string, expiresAt: number): Promise<boolean> {
    const jti = credentialId.slice(JWT_ID_PREFIX.length)
    const ended = await this.#store.change('users', async (trx, revision) =>
      insertRevokedJwt(trx, { jti, expiresAt, revision }),
    )
    this.#endOne(credentialId)
    await this.#following.refresh()
    return ended
  }

  /** Acts on a row that this process has just written, before the feed comes round with it. */
  async takeOver(row: UserRow): Promise<void> {
    this.#apply(row)
    await this.#following.refresh()
  }

  /** Ends everything of a tenant that was deleted. */
  endTenant(tenant: string): void {
    for (const [id, { claims }] of this.#live) if (claims.tenant === tenant) this.#endOne(id)
  }

  async close(): Promise<void> {
    this.#cancelSweep?.()
    await this.#keys.close()
    await this.#following.close()
  }

  async #ask(token: string, digest: string, now: number): Promise<JwtAnswer> {
    const verified = await this.#verify(token, now)
    if (!verified.ok) {
      const { reason, jti } = verified.error
      return reason === 'expired' && jti !== undefined
        ? { status: 'expired', credentialId: JWT_ID_PREFIX + jti }
        : { status: 'unknown' }
    }
    const { claims, kid } = verified.value
    for (let attempt = 1; ; attempt += 1) {
      const { generation } = this.#following
      const checkedAt = this.#clock.now()
      const row = await findUserById(this.#store.db, claims.userId)
      const ended =
        row === undefined || endedBy(claims, row) || (await isRevokedJwt(this.#store.db, claims.jti))
      // A change was announced while this was read: it may be from before it. Read again.
      if (generation !== this.#following.generation && attempt < 5) continue
      if (ended) return this.#rememberRevoked(digest, JWT_ID_PREFIX + claims.jti)
      // The key may have gone away meanwhile, and with it what it had verified.
      if (!this.#hasKey(kid)) return { status: 'unknown' }
      const known = knownOf(claims, row, digest)
      const answer = { status: 'known', known, checkedAt } as const
      // Under changes without end the freshest read is the answer, but nothing that is kept.
      if (generation === this.#following.generation) this.#remember(digest, answer, claims, kid)
      return answer
    }
  }

  /** A process that was quicker may sign with a key already that this one has not taken over. */
  async #verify(token: string, now: number): ReturnType<typeof verifyJwt> {
    const verified = await verifyJwt(token, this.#keys.ring, this.#rules, now)
    if (verified.ok || verified.error.reason !== 'unknown_key' || !(await this.#keys.refresh()))
      return verified
    return await verifyJwt(token, this.#keys.ring, this.#rules, now)
  }

  #hasKey(kid: string): boolean {
    return this.#keys.ring.find(kid, this.#clock.now()) !== undefined
  }

  #rememberRevoked(digest: string, credentialId: string): JwtAnswer {
    const answer = { status: 'revoked', credentialId } as const
    this.#good.delete(digest)
    this.#revoked.set(digest, answer)
    return answer
  }

  #remember(
    digest: string,
    answer: JwtAnswer & { readonly status: 'known' },
    claims: Claims,
    kid: string,
  ): void {
    const { id, expiresAt } = answer.known.caller.credential
    this.#good.set(digest, answer)
    this.#live.set(id, { known: answer.known, claims, kid, usedAt: answer.checkedAt })
    const ids = this.#byUser.get(claims.userId) ?? new Set()
    this.#byUser.set(claims.userId, ids.add(id))
    this.#expiries.set(id, expiresAt)
  }

  #apply(row: UserRow): void {
    for (const id of this.#byUser.get(row.id) ?? []) {
      const live = this.#live.get(id)
      if (live && endedBy(live.claims, row)) this.#endOne(id)
    }
  }

  #endOne(credentialId: string): void {
    const live = this.#live.get(credentialId)
    if (live) this.#rememberRevoked(live.known.hash, credentialId)
    this.#forget(credentialId)
    if (live || this.#lifelines.holds(credentialId)) this.#end(credentialId, 'revoked')
  }

  /** Not remembered as revoked: a token whose key comes back, from a copy of its file, is as good as before. */
  #endWithoutKey(): void {
    for (const [id, { known, kid }] of this.#live) {
      if (this.#hasKey(kid)) continue
      this.#good.delete(known.hash)
      this.#forget(id)
      this.#end(id, 'revoked')
    }
  }

  #forget(credentialId: string): void {
    const live = this.#live.get(credentialId)
    if (!live) return
    this.#live.delete(credentialId)
    this.#expiries.forget(credentialId)
    const ids = this.#byUser.get(live.claims.userId)
    ids?.delete(credentialId)
    if (ids?.size === 0) this.#byUser.delete(live.claims.userId)
  }

  async #takeChanges(): Promise<void> {
    const { db } = this.#store
    const users = await readUsersAfter(db, this.#usersRevision, MOST_CHANGES)
    const revoked = await readRevokedJwtsAfter(db, this.#revokedRevision, MOST_CHANGES)
    for (const row of users) {
      this.#apply(row)
      this.#usersRevision = Math.max(this.#usersRevision, row.revision)
    }
    for (const { jti, revision } of revoked) {
      this.#endOne(JWT_ID_PREFIX + jti)
      this.#revokedRevision = Math.max(this.#revokedRevision, revision)
    }
    if (users.length === MOST_CHANGES || revoked.length === MOST_CHANGES) await this.#takeChanges()
  }

  #sweepLater(): void {
    this.#cancelSweep = this.#clock.after(SWEEP_EVERY_MS, () => {
      this.#sweep()
      this.#sweepLater()
    })
  }

  #sweep(): void {
    const before = this.#clock.now() - SWEEP_EVERY_MS
    for (const [id, { known, usedAt }] of this.#live) {
      // Recently used ones stay: their caller may be about to open something.
      if (usedAt > before || this.#good.has(known.hash) || this.#lifelines.holds(id)) continue
      this.#forget(id)
    }
  }
}

/** Whether what was issued for a user before is good no more. */
const endedBy = (claims: Claims, row: UserRow): boolean =>
  row.deletedAt !== null ||
  row.disabledAt !== null ||
  row.epoch !== claims.epoch ||
  row.tenant !== claims.tenant

/** What the row says counts, and it says the same as the claims: a change of role is another epoch. */
function knownOf(claims: Claims, row: UserRow, hash: string): Known {
  return Object.freeze({
    hash,
    caller: Object.freeze({
      principal: Object.freeze({ kind: 'user', id: row.id, name: row.name }),
      credential: Object.freeze({
        id: JWT_ID_PREFIX + claims.jti,
        kind: 'jwt',
        name: row.name,
        createdAt: claims.issuedAt * 1_000,
        expiresAt: claims.expiresAt * 1_000,
      }),
      grant: Object.freeze({
        tenant: row.tenant,
        level: levelOfRow(row),
        scopes: 'all',
        servers: 'all',
        databases: 'all',
      }),
    }),
  })
}
