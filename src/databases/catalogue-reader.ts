import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import type { CatalogueRow } from './catalogue-row.ts'
import type { PoolOwner } from './pool.ts'
import type { Pools } from './pools.ts'
import { runExchange } from './run-exchange.ts'
import { toParameter } from './values.ts'
import { isInterrupted } from './waiter.ts'

/** Time and size allowed to Postern's own queries, whatever callers are allowed. */
export const CATALOGUE_TIMEOUT_MS = 30_000
const CATALOGUE_BYTES = 256 * 1024 * 1024
const CATALOGUE_ROWS = 10_000_000
const NEVER = new AbortController().signal
/** In the place of a credential and its tenant; none are called so. */
export const OWN_POOL: PoolOwner = { credentialId: 'postern:catalogue', tenant: 'postern:none' }

/** Runs queries that Postern itself wrote, on connections where callers' text never runs. */
export class CatalogueReader {
  readonly #database: string
  readonly #pools: Pools
  readonly #clock: Clock
  readonly #deadlineMs: number

  constructor(database: string, pools: Pools, clock: Clock, deadlineMs: number) {
    this.#database = database
    this.#pools = pools
    this.#clock = clock
    this.#deadlineMs = deadlineMs
  }

  /** Throws `Fault`: `database_unavailable` when the database is away, `internal` when the query is wrong. */
  async query(sql: string, params: readonly unknown[] = []): Promise<CatalogueRow[]> {
    const connection = await this.#pools.acquire(OWN_POOL, 'read', NEVER)
    if (isInterrupted(connection)) throw new Fault('shutting_down', 'Postern is shutting down')
    const answer = await runExchange(
      connection,
      {
        sql,
        params: params.map(toParameter),
        wrapping: 'bare',
        scrub: false,
        maxRows: CATALOGUE_ROWS,
        maxBytes: CATALOGUE_BYTES,
        limitRows: true,
        beyondBytes: 'stop',
      },
      null,
      this.#clock.now(),
      this.#deadlineMs,
    )
    if (answer.kind === 'rows' && answer.truncatedBy === null) {
      const { fields, rows } = answer
      return rows.map((row) => Object.fromEntries(fields.map(({ name }, index) => [name, row[index]])))
    }
    const database = `database "${this.#database}"`
    if (answer.kind === 'error') {
      throw new Fault('internal', `a catalogue query failed on ${database}`, {
        cause: new Error(`${answer.error.message} (SQLSTATE ${answer.error.sqlstate})`),
      })
    }
    if (answer.kind === 'lost' || answer.kind === 'ended') {
      throw new Fault('database_unavailable', `${database} is not available at the moment`, {
        retryAfterS: 2,
      })
    }
    throw new Fault('internal', `the catalogue of ${database} is too large to read`)
  }
}
