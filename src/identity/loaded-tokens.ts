import type { Clock } from '../lib/clock.ts'
import type { EndReason } from './lifelines.ts'
import type { Expiries } from './expiries.ts'
import { type Known, sameRights } from './known.ts'

/** Ends whatever was opened with a credential and says so. Never throws. */
export type EndCredential = (credentialId: string, reason: EndReason) => void

/** The tokens of a source that is held in memory whole: the configuration, the token file. */
export class LoadedTokens {
  readonly #end: EndCredential
  readonly #expiries: Expiries
  readonly #clock: Clock
  #byHash = new Map<string, Known>()
  #byId = new Map<string, Known>()

  constructor(end: EndCredential, expiries: Expiries, clock: Clock) {
    this.#clock = clock
    this.#end = end
    this.#expiries = expiries
  }

  find(hash: string): Known | undefined {
    return this.#byHash.get(hash)
  }

  get all(): Iterable<Known> {
    return this.#byId.values()
  }

  get size(): number {
    return this.#byId.size
  }

  /** Ends what is open with tokens of a tenant: one that was deleted, or that nobody can vouch for any more. */
  endTenants(which: (tenant: string) => boolean, reason: EndReason): void {
    for (const [id, { caller }] of this.#byId) if (which(caller.grant.tenant)) this.#end(id, reason)
  }

  /** Takes over a new set whole, then ends what is gone, has another value, or has other rights. */
  replace(tokens: readonly Known[]): void {
    const before = this.#byId
    this.#byHash = new Map(tokens.map((known) => [known.hash, known]))
    this.#byId = new Map(tokens.map((known) => [known.caller.credential.id, known]))
    for (const known of tokens)
      this.#expiries.set(known.caller.credential.id, known.caller.credential.expiresAt)
    for (const [id, old] of before) {
      const now = this.#byId.get(id)
      if (now?.hash !== old.hash) {
        const { expiresAt } = old.caller.credential
        // What expired ends as expired, by its timer; the clean-up that deletes it revokes nothing.
        if (!now && expiresAt !== null && expiresAt <= this.#clock.now()) continue
        if (!now) this.#expiries.forget(id)
        this.#end(id, 'revoked')
      } else if (!sameRights(old, now)) {
        this.#end(id, 'changed')
      }
    }
  }
}
