import type { Clock } from '../lib/clock.ts'
import type { Observe } from '../observe/observation.ts'
import type { Store } from '../store/open.ts'
import { recordTokenUses } from '../store/token-uses.ts'

const WRITE_EVERY_MS = 60_000

/** More credentials than this between two writes are written early, so that memory stays bounded. */
const MOST_WAITING = 50_000

/** When credentials were last used: noted in memory on the hot path, written once a minute at most. */
export class TokenUses {
  readonly #store: Store
  readonly #clock: Clock
  readonly #observe: Observe
  #waiting = new Map<string, number>()
  #cancel: (() => void) | undefined
  #closed = false

  constructor(store: Store, clock: Clock, observe: Observe) {
    this.#store = store
    this.#clock = clock
    this.#observe = observe
  }

  start(): void {
    // Also called after a write that was under way when this closed.
    if (this.#closed) return
    this.#cancel = this.#clock.after(WRITE_EVERY_MS, () => {
      void this.flush().finally(() => this.start())
    })
  }

  note(credentialId: string, now: number): void {
    this.#waiting.set(credentialId, now)
    if (this.#waiting.size > MOST_WAITING) void this.flush()
  }

  /** Uses that are not written yet. */
  get(credentialId: string): number | undefined {
    return this.#waiting.get(credentialId)
  }

  /** Writes what waits. A failure loses dates that are only informative, so it is reported and let go. */
  async flush(): Promise<void> {
    if (this.#waiting.size === 0) return
    const uses = [...this.#waiting].map(([credentialId, lastUsedAt]) => ({ credentialId, lastUsedAt }))
    this.#waiting = new Map()
    try {
      await this.#store.db.transaction().execute(async (trx) => {
        await recordTokenUses(trx, uses)
      })
    } catch (error) {
      this.#observe({ kind: 'fault', where: 'identity.token_uses', error })
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancel?.()
    await this.flush()
  }
}
