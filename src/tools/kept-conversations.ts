import type { Clock } from '../lib/clock.ts'
import type { GuardedConversation } from './backend/backend.ts'

/** Of all credentials together; beyond it the one that was idle for longest gives way. */
const MOST_KEPT = 1_000

const SWEEP_MS = 10_000

interface Kept<T> {
  readonly conversation: T
  uses: number
  lastUsedAt: number
}

/**
 * Conversations of credentials whose requests come one by one: a REST call must not start a process and stop it
 * again. Each is let go when nobody used it for a while. What one has open at a server ends with its credential,
 * as every conversation does.
 */
export class KeptConversations<T extends GuardedConversation> {
  readonly #clock: Clock
  readonly #idleMs: () => number
  readonly #byCredential = new Map<string, Kept<T>>()
  #cancelSweep: (() => void) | undefined

  /** @param idleMs how long one without requests is kept */
  constructor(clock: Clock, idleMs: () => number) {
    this.#clock = clock
    this.#idleMs = idleMs
  }

  get size(): number {
    return this.#byCredential.size
  }

  async use<R>(credentialId: string, begin: () => T, run: (conversation: T) => Promise<R>): Promise<R> {
    let kept = this.#byCredential.get(credentialId)
    if (!kept) {
      if (this.#byCredential.size >= MOST_KEPT) this.#endIdlest()
      this.#byCredential.set(credentialId, (kept = { conversation: begin(), uses: 0, lastUsedAt: 0 }))
      this.#cancelSweep ??= this.#clock.after(SWEEP_MS, this.#sweep)
    }
    kept.uses += 1
    try {
      return await run(kept.conversation)
    } finally {
      kept.uses -= 1
      kept.lastUsedAt = this.#clock.now()
    }
  }

  close(): void {
    this.#cancelSweep?.()
    this.#cancelSweep = undefined
    for (const credentialId of this.#byCredential.keys()) this.#end(credentialId)
  }

  #endIdlest(): void {
    let idlest: string | undefined
    let since = Infinity
    for (const [credentialId, { uses, lastUsedAt }] of this.#byCredential) {
      if (uses > 0 || lastUsedAt >= since) continue
      idlest = credentialId
      since = lastUsedAt
    }
    if (idlest !== undefined) this.#end(idlest)
  }

  #end(credentialId: string): void {
    this.#byCredential.get(credentialId)?.conversation.close()
    this.#byCredential.delete(credentialId)
  }

  readonly #sweep = (): void => {
    this.#cancelSweep = undefined
    const before = this.#clock.now() - this.#idleMs()
    for (const [credentialId, { uses, lastUsedAt }] of this.#byCredential) {
      if (uses === 0 && lastUsedAt <= before) this.#end(credentialId)
    }
    if (this.#byCredential.size > 0) this.#cancelSweep = this.#clock.after(SWEEP_MS, this.#sweep)
  }
}
