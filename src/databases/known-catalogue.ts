import type { Clock } from '../lib/clock.ts'
import type { GateCatalogue } from './gate/catalogue.ts'

/** A catalogue older than this is compared with the database in the background, by one short query. */
const FRESH_MS = 5_000
/** A refused statement asks for a newer catalogue at most this often. */
const RETRY_MS = 1_000

/** The gate's catalogue of one database, kept up to date while it is used. */
export class KnownCatalogue {
  readonly #load: (previous: GateCatalogue | undefined) => Promise<GateCatalogue>
  readonly #clock: Clock
  #current: GateCatalogue | undefined
  #checkedAt = -Infinity
  #loading: Promise<GateCatalogue> | null = null

  /** @param load answers with `previous` when nothing has changed */
  constructor(load: (previous: GateCatalogue | undefined) => Promise<GateCatalogue>, clock: Clock) {
    this.#load = load
    this.#clock = clock
  }

  /** What is known, or `undefined` before the first load. An old one is renewed behind the caller's back. */
  get(): GateCatalogue | undefined {
    if (this.#current !== undefined && this.#clock.now() - this.#checkedAt > FRESH_MS) {
      // A database that is away will be noticed by the statement itself.
      this.renew().catch(() => undefined)
    }
    return this.#current
  }

  /** Objects were changed through Postern: nothing is judged by the old catalogue any more. */
  forget(): void {
    this.#current = undefined
  }

  /** A newer catalogue where there may be one, at most once a second; for a statement that was refused. */
  async newer(): Promise<GateCatalogue | undefined> {
    if (this.#clock.now() - this.#checkedAt < RETRY_MS) return this.#current
    return this.renew()
  }

  renew(): Promise<GateCatalogue> {
    this.#loading ??= this.#reload().finally(() => {
      this.#loading = null
    })
    return this.#loading
  }

  async #reload(): Promise<GateCatalogue> {
    const startedAt = this.#clock.now()
    this.#checkedAt = startedAt
    this.#current = await this.#load(this.#current)
    return this.#current
  }
}
