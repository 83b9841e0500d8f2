import type { Observe } from '../observe/observation.ts'

/** Remembers the revision of each topic and tells listeners when one rises. Both feeds are built on it. */
export class Announcer {
  readonly #listeners = new Set<(topic: string) => void>()
  readonly #revisions = new Map<string, number>()
  readonly #observe: Observe

  constructor(observe: Observe) {
    this.#observe = observe
  }

  subscribe(listener: (topic: string) => void): () => void {
    this.#listeners.add(listener)
    return () => {
      this.#listeners.delete(listener)
    }
  }

  /** Takes revisions as they are in the store; what is announced is what rose since the last time. */
  see(revisions: readonly { readonly topic: string; readonly revision: number }[]): void {
    for (const { topic, revision } of revisions) {
      if (revision <= (this.#revisions.get(topic) ?? -1)) continue
      this.#revisions.set(topic, revision)
      this.#announce(topic)
    }
  }

  /** Takes the revisions at the start as known: what was there before is not a change. */
  startFrom(revisions: readonly { readonly topic: string; readonly revision: number }[]): void {
    for (const { topic, revision } of revisions) this.#revisions.set(topic, revision)
  }

  #announce(topic: string): void {
    for (const listener of this.#listeners) {
      try {
        listener(topic)
      } catch (error) {
        // One listener's fault must not keep the news of a revocation from the others.
        this.#observe({ kind: 'fault', where: 'store.feed', error })
      }
    }
  }
}
