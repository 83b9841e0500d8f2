import type { Clock } from '../../lib/clock.ts'
import { AddressBuckets } from '../address-buckets.ts'
import { BoundedMap } from '../../lib/bounded-map.ts'
import { network } from '../network.ts'

/** Wrong passwords for one account from one address before it has to wait. */
const FREE_FAILURES = 5

/** The first wait; each further failure doubles it, up to the longest. */
const FIRST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 15 * 60_000

/** After this long without a failure the count begins anew. */
const FORGET_AFTER_MS = 30 * 60_000

/** Wrong passwords from one address, whatever the accounts; then one more every so often. */
const ADDRESS_FAILURES = 50
const ADDRESS_REFILL_MS = 10_000

const MOST_PAIRS = 50_000

interface Pair {
  readonly failures: number
  readonly lastAt: number
  readonly blockedUntil: number
}

/** Which limit says no, and for how long. Milliseconds. */
export interface Blocked {
  readonly rule: 'login.account' | 'login.address'
  readonly waitMs: number
}

/**
 * Slows down whoever tries passwords. What is counted is an account together with an address, so nobody can lock
 * anybody else out by failing in their name; and an address by itself, against trying one password on many accounts.
 * Whether an account exists makes no difference. Kept in memory: each process of several counts for itself.
 */
export class LoginLimits {
  readonly #clock: Clock
  readonly #pairs = new BoundedMap<string, Pair>(MOST_PAIRS)
  readonly #addresses: AddressBuckets

  constructor(clock: Clock) {
    this.#clock = clock
    this.#addresses = new AddressBuckets(clock, ADDRESS_FAILURES, ADDRESS_REFILL_MS)
  }

  /** Asking counts as nothing: whoever goes on asking does not wait longer for it. */
  blocked(account: string, address: string): Blocked | null {
    const now = this.#clock.now()
    const pair = this.#pairs.get(pairKey(account, address))
    if (pair && pair.blockedUntil > now) return { rule: 'login.account', waitMs: pair.blockedUntil - now }
    const waitMs = this.#addresses.waitMs(address)
    return waitMs > 0 ? { rule: 'login.address', waitMs } : null
  }

  failed(account: string, address: string): void {
    const now = this.#clock.now()
    const key = pairKey(account, address)
    const before = this.#pairs.get(key)
    const failures = before && now - before.lastAt < FORGET_AFTER_MS ? before.failures + 1 : 1
    const beyond = failures - FREE_FAILURES
    const waitMs = beyond < 0 ? 0 : Math.min(FIRST_WAIT_MS * 2 ** Math.min(beyond, 20), LONGEST_WAIT_MS)
    this.#pairs.set(key, { failures, lastAt: now, blockedUntil: now + waitMs })
    this.#addresses.count(address)
  }

  /** What the account did wrong from this address is forgotten; what the address did with other accounts is not. */
  succeeded(account: string, address: string): void {
    this.#pairs.delete(pairKey(account, address))
  }
}

const pairKey = (account: string, address: string): string => `${network(address)} ${account}`
