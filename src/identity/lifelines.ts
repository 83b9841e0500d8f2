import { Bag } from '../lib/bag.ts'

/** Why a credential stopped being valid. */
export type EndReason = 'revoked' | 'expired' | 'changed' | 'shutdown'

export type End = (reason: EndReason) => void

/**
 * Everything that lives only as long as the credential that opened it: streams, MCP sessions, running
 * queries, database pools. `identity/` ends a credential; each holder is told at once, synchronously.
 */
export class Lifelines {
  readonly #holders = new Map<string, Bag<End>>()

  /** Registers `end` for a credential; the returned function lets go of it. */
  hold(credentialId: string, end: End): () => void {
    let holders = this.#holders.get(credentialId)
    if (!holders) this.#holders.set(credentialId, (holders = new Bag()))
    const place = holders.add(end)
    return () => {
      holders.remove(place)
      if (holders.size === 0 && this.#holders.get(credentialId) === holders)
        this.#holders.delete(credentialId)
    }
  }

  /** Ends everything held by one credential. A holder that throws does not spare the others. */
  end(credentialId: string, reason: EndReason): void {
    const holders = this.#holders.get(credentialId)
    if (!holders) return
    this.#holders.delete(credentialId)
    const faults: unknown[] = []
    for (const end of holders) {
      try {
        end(reason)
      } catch (fault) {
        faults.push(fault)
      }
    }
    if (faults.length > 0) throw new AggregateError(faults, `ending credential ${credentialId}`)
  }

  endAll(reason: EndReason): void {
    for (const credentialId of this.#holders.keys()) this.end(credentialId, reason)
  }

  /** True while a credential has something open. */
  holds(credentialId: string): boolean {
    return this.#holders.has(credentialId)
  }

  /** The number of credentials that hold something open. */
  get size(): number {
    return this.#holders.size
  }
}
