import { createHash } from 'node:crypto'
import { type Refusal, refusal } from '../../access/refusal.ts'
import type { Caller } from '../../identity/caller.ts'
import type { Lifelines } from '../../identity/lifelines.ts'
import type { Clock } from '../../lib/clock.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { Backend } from '../../tools/backend/backend.ts'
import type { ClientFacts } from '../../upstreams/conversation.ts'
import { KeptConversation } from './kept-conversation.ts'

/** Conversations of one credential that has no sessions: one for each server and each kind of client. */
export const KEPT_PER_CREDENTIAL = 64

/** How long one without requests is kept where its server does not say, in milliseconds. */
const IDLE_MS = 300_000

const SWEEP_MS = 10_000

/**
 * Conversations with servers on behalf of clients that keep none themselves: every request of the same credential
 * to the same server with the same capabilities goes through one. Let go when it was idle for long enough.
 */
export class KeptConversations {
  readonly #lifelines: Lifelines
  readonly #clock: Clock
  readonly #limit: number
  readonly #byCredential = new Map<
    string,
    { readonly kept: Map<string, KeptConversation>; release(): void }
  >()
  #size = 0
  #cancelSweep: (() => void) | undefined

  /** @param limit of all credentials together */
  constructor(lifelines: Lifelines, clock: Clock, limit: number) {
    this.#lifelines = lifelines
    this.#clock = clock
    this.#limit = limit
  }

  get size(): number {
    return this.#size
  }

  /** The conversation of such a client, in use until `release` is called. It may have to be begun yet. */
  use(caller: Caller, backend: Backend, facts: ClientFacts): Result<KeptConversation, Refusal> {
    const credentialId = caller.credential.id
    const key = keyOf(backend, facts)
    const owned = this.#byCredential.get(credentialId)
    const found = owned?.kept.get(key)
    if (found) {
      found.live.through(backend)
      found.uses += 1
      return ok(found)
    }
    if ((owned?.kept.size ?? 0) >= KEPT_PER_CREDENTIAL || this.#size >= this.#limit) {
      const idlest = longestIdle(owned?.kept.values() ?? [])
      if (!idlest) return err(tooMany())
      this.#end(credentialId, idlest)
    }
    const kept = new KeptConversation(key, backend, facts)
    this.#own(credentialId).set(key, kept)
    this.#size += 1
    kept.uses = 1
    this.#cancelSweep ??= this.#clock.after(SWEEP_MS, this.#sweep)
    return ok(kept)
  }

  release(kept: KeptConversation): void {
    kept.uses -= 1
    kept.lastUsedAt = this.#clock.now()
  }

  /** Ends every conversation with a server that is no more. */
  endAt(server: string): void {
    for (const [credentialId, { kept }] of this.#byCredential)
      for (const one of kept.values()) if (one.server === server) this.#end(credentialId, one)
  }

  *[Symbol.iterator](): Iterator<KeptConversation> {
    for (const { kept } of this.#byCredential.values()) yield* kept.values()
  }

  close(): void {
    this.#cancelSweep?.()
    this.#cancelSweep = undefined
    for (const credentialId of this.#byCredential.keys()) this.#endAll(credentialId)
  }

  #own(credentialId: string): Map<string, KeptConversation> {
    let owned = this.#byCredential.get(credentialId)
    if (!owned) {
      // Also when only its grant changed: what it may use now is asked for anew.
      const release = this.#lifelines.hold(credentialId, () => {
        this.#endAll(credentialId)
      })
      owned = { kept: new Map(), release }
      this.#byCredential.set(credentialId, owned)
    }
    return owned.kept
  }

  #endAll(credentialId: string): void {
    for (const kept of this.#byCredential.get(credentialId)?.kept.values() ?? []) {
      this.#end(credentialId, kept)
    }
  }

  #end(credentialId: string, kept: KeptConversation): void {
    const owned = this.#byCredential.get(credentialId)
    if (owned?.kept.get(kept.key) !== kept) return
    owned.kept.delete(kept.key)
    this.#size -= 1
    if (owned.kept.size === 0) {
      this.#byCredential.delete(credentialId)
      owned.release()
    }
    kept.close()
  }

  readonly #sweep = (): void => {
    this.#cancelSweep = undefined
    const now = this.#clock.now()
    for (const [credentialId, { kept }] of this.#byCredential) {
      for (const one of kept.values()) {
        if (one.uses === 0 && one.lastUsedAt + (one.idleMs ?? IDLE_MS) <= now) this.#end(credentialId, one)
      }
    }
    if (this.#size > 0) this.#cancelSweep = this.#clock.after(SWEEP_MS, this.#sweep)
  }
}

/** Clients that would be told the same are one: the digest keeps what they say of themselves out of memory. */
function keyOf(backend: Backend, { clientInfo, capabilities, revision }: ClientFacts): string {
  const facts = JSON.stringify([backend.server, revision, clientInfo, capabilities])
  return createHash('sha256').update(facts).digest('base64url')
}

function longestIdle(kept: Iterable<KeptConversation>): KeptConversation | undefined {
  let idlest: KeptConversation | undefined
  for (const one of kept) {
    if (one.uses === 0 && (!idlest || one.lastUsedAt < idlest.lastUsedAt)) idlest = one
  }
  return idlest
}

const tooMany = (): Refusal =>
  refusal('too_many_sessions', 'conversations', 'too many conversations with servers are in use', {
    allowed: 'the same request when others have been answered',
  })
