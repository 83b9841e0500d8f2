import type { Clock } from '../lib/clock.ts'
import type { GateCatalogue } from './gate/catalogue.ts'

/** A catalogue older than this is compared with the database in the background, by one short query. */
const FRESH_MS = 5_000
/** Where what is known also says whether the database may be served: nothing older is used at all. */
const STALE_MS = 10_000
/** A refused statement asks for a newer catalogue at most this often. */
const RETRY_MS = 1_000

/** The gate's catalogue of one database, kept up to date while it is used. */
export class KnownCatalogue {
  readonly #load: (previous: GateCatalogue | undefined) => Promise<GateCatalogue>
  readonly #clock: Clock
  readonly #strict: boolean
  #current: GateCatalogue | undefined
  /** Counts the changes made through Postern; `#seen` is how many of them `#current` has certainly seen. */
  #changes = 0
  #seen = 0
  #checkedAt = -Infinity
  #loading: Promise<GateCatalogue> | null = null

  /**
   * @param load answers with `previous` when nothing has changed
   * @param strict an old catalogue is not used, nor any after a load that failed: the caller waits for a new one
   */
  constructor(
    load: (previous: GateCatalogue | undefined) => Promise<GateCatalogue>,
    clock: Clock,
    strict = false,
  ) {
    this.#load = load
    this.#clock = clock
    this.#strict = strict
  }

  /** What is known, or `undefined` before the first load. An old one is renewed behind the caller's back. */
  get(): GateCatalogue | undefined {
    if (this.#seen < this.#changes) return undefined
    const ageMs = this.#clock.now() - this.#checkedAt
    if (this.#strict && ageMs > STALE_MS) return undefined
    if (this.#current !== undefined && ageMs > FRESH_MS) {
      // A database that is away will be noticed by the statement itself.
      this.renew().catch(() => undefined)
    }
    return this.#current
  }

  /** Objects were changed through Postern: nothing is judged by what is known now any more. */
  outdate(): void {
    this.#changes += 1
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
    for (;;) {
      const changes = this.#changes
      this.#checkedAt = this.#clock.now()
      const catalogue = await this.#load(this.#current).catch((fault: unknown) => {
        if (this.#strict) this.#current = undefined
        throw fault
      })
      this.#current = catalogue
      this.#seen = changes
      // What changed while it was loading may be missing from it.
      if (changes === this.#changes) return catalogue
    }
  }
}
