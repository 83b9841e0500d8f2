import { BoundedMap } from '../../lib/bounded-map.ts'
import type { Clock } from '../../lib/clock.ts'
import { Fault } from '../../lib/fault.ts'
import type { Observe } from '../../observe/observation.ts'

/** After a failed attempt, the callers of a tenant are answered at once for so long; then one attempt is made. */
const PAUSE_MS = 1_000
/** Tenants remembered: who was looked at longest ago is forgotten, and tried once more. */
const MOST_REMEMBERED = 10_000

export interface UnreadyOptions {
  readonly database: string
  readonly clock: Clock
  readonly observe: Observe
}

interface Unready {
  readonly message: string
  readonly failedAt: number
  probing: boolean
}

/**
 * Tenants that cannot log in to a protected database, because nobody has made their roles there or because these are
 * not what they must be. It concerns nobody but the tenant: to all others the database is as it was.
 */
export class UnreadyTenants {
  readonly #options: UnreadyOptions
  readonly #unready = new BoundedMap<string, Unready>(MOST_REMEMBERED)

  constructor(options: UnreadyOptions) {
    this.#options = options
  }

  /** Lets an attempt of a tenant begin, or throws `Fault` (`tenant_not_ready`). */
  admit(tenant: string): void {
    const unready = this.#unready.get(tenant)
    if (unready === undefined) return
    if (unready.probing || this.#options.clock.now() - unready.failedAt < PAUSE_MS) throw this.#fault()
    unready.probing = true
  }

  /** The tenant is let in. */
  ready(tenant: string): void {
    this.#unready.delete(tenant)
  }

  /** The attempt ended without an answer about the tenant. */
  undecided(tenant: string): void {
    const unready = this.#unready.get(tenant)
    if (unready !== undefined) unready.probing = false
  }

  /** @param message what is wrong and what to do, for the operator */
  failed(tenant: string, message: string): Fault {
    const { database, clock, observe } = this.#options
    const known = this.#unready.get(tenant)
    this.#unready.set(tenant, { message, failedAt: clock.now(), probing: false })
    if (known?.message !== message) observe({ kind: 'database.tenant_not_ready', database, tenant, message })
    return this.#fault(message)
  }

  /** One sentence for whatever it is: which roles a server has is not for its callers. */
  #fault(message?: string): Fault {
    const { database } = this.#options
    return new Fault(
      'tenant_not_ready',
      `database "${database}" is not set up for your tenant: whoever runs this gateway runs "postern database protect ${database}", and finds the reason in the log`,
      { retryAfterS: 30, ...(message === undefined ? {} : { cause: new Error(message) }) },
    )
  }
}
