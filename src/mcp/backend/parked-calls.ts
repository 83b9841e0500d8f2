import { createHash, randomBytes } from 'node:crypto'
import type { Clock } from '../../lib/clock.ts'
import type { Params } from '../message.ts'
import type { AskingCall } from './asking-call.ts'

/** Calls of one credential that wait for their clients, and of all together. */
export const PARKED_PER_CREDENTIAL = 48
const PARKED_IN_ALL = 4_096

/** Time for a person to answer, in milliseconds. */
export const PARKED_MS = 600_000

/** 192 random bits: what a client cannot have been given, it cannot name. */
const STATE_BYTES = 24

interface Parked {
  readonly call: AskingCall
  readonly binding: string
  readonly credentialId: string
  stopTimer(): void
}

/**
 * Calls whose server has asked something, waiting for the request that brings the answers. Their `requestState` means
 * nothing to anybody but Postern, works once, and only for the same credential, server, method and arguments
 * (2026-07-28 MRTR, "Server Requirements").
 */
export class ParkedCalls {
  readonly #clock: Clock
  readonly #parked = new Map<string, Parked>()
  readonly #perCredential = new Map<string, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#parked.size
  }

  /** @returns the `requestState`; `undefined` when too many calls wait already */
  park(call: AskingCall, binding: string, credentialId: string): string | undefined {
    const own = this.#perCredential.get(credentialId) ?? 0
    if (own >= PARKED_PER_CREDENTIAL || this.#parked.size >= PARKED_IN_ALL) return undefined
    const state = randomBytes(STATE_BYTES).toString('base64url')
    const stopTimer = this.#clock.after(PARKED_MS, () => {
      this.#remove(state)
      call.running?.stop('cancelled')
    })
    this.#parked.set(state, { call, binding, credentialId, stopTimer })
    this.#perCredential.set(credentialId, own + 1)
    return state
  }

  /** The call of that state, taken out; `undefined` for one that never was, is over, or belongs to another request. */
  take(state: string, binding: string): AskingCall | undefined {
    const parked = this.#parked.get(state)
    if (parked?.binding !== binding) return undefined
    this.#remove(state)
    return parked.call
  }

  close(): void {
    for (const [state, { call }] of this.#parked) {
      this.#remove(state)
      call.running?.stop('shutdown')
    }
  }

  #remove(state: string): void {
    const parked = this.#parked.get(state)
    if (!parked) return
    parked.stopTimer()
    this.#parked.delete(state)
    const left = (this.#perCredential.get(parked.credentialId) ?? 1) - 1
    if (left > 0) this.#perCredential.set(parked.credentialId, left)
    else this.#perCredential.delete(parked.credentialId)
  }
}

/** What a `requestState` is good for: the same request of the same credential to the same server, and no other. */
export function bindingOf(
  credentialId: string,
  server: string | null,
  method: string,
  { name, uri, arguments: args }: Params,
): string {
  const text = JSON.stringify([credentialId, server, method, name ?? uri ?? null, ordered(args ?? {})])
  return createHash('sha256').update(text).digest('base64url')
}

/** Clients may send the members of an object in another order when they ask again. */
function ordered(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(ordered)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1))
  return Object.fromEntries(entries.map(([name, member]) => [name, ordered(member)]))
}
