import { sql } from 'kysely'
import { Fault } from '../lib/fault.ts'
import type { Clock } from '../lib/clock.ts'
import type { StoreKind } from './kind.ts'
import type { Store } from './store.ts'

/** How the store is, as of the last look. Holds no path, host or user. */
export interface StoreState {
  readonly kind: StoreKind
  readonly reachable: boolean
  /** Milliseconds of the last look; `null` while the store is away, like what follows. */
  readonly latencyMs: number | null
  readonly sizeBytes: number | null
  readonly schemaVersion: number | null
  /** It takes no writes: a PostgreSQL standby, or one that was set read-only. */
  readonly readOnly: boolean | null
  /** One sentence while it is away; otherwise `null`. */
  readonly problem: string | null
}

/** Whoever asks again within this gets the same answer: strangers may ask, and must not keep the store busy. */
const FRESH_MS = 1_000

/** A store that takes longer is away: callers wait for it in vain, too. */
const ANSWER_WITHIN_MS = 2_000

interface Facts {
  readonly size: number
  readonly version: number
  /** 0 or 1 where there are no booleans. */
  readonly read_only: boolean | number
}

/**
 * Looks at the store when asked, once at a time and at most once a second. Never rejects, and never takes longer than
 * two seconds; a look that has been waiting for that long answers everybody else at once.
 */
export function storeProbe(store: Pick<Store, 'db' | 'kind'>, clock: Clock): () => Promise<StoreState> {
  let last: { readonly state: StoreState; readonly at: number } | undefined
  let looking: { readonly answer: Promise<StoreState>; readonly since: number } | undefined

  const look = async (): Promise<StoreState> => {
    const startedAt = performance.now()
    let state: StoreState
    try {
      const facts = await readFacts(store)
      const latencyMs = Math.round((performance.now() - startedAt) * 100) / 100
      state = {
        kind: store.kind,
        reachable: true,
        latencyMs,
        sizeBytes: facts.size,
        schemaVersion: facts.version,
        readOnly: facts.read_only === true || facts.read_only === 1,
        problem: null,
      }
    } catch (error) {
      state = away(store.kind, error instanceof Fault ? error.message : 'the store reports an error')
    }
    last = { state, at: clock.now() }
    looking = undefined
    return state
  }

  return async () => {
    if (last && clock.now() - last.at < FRESH_MS) return last.state
    looking ??= { answer: look(), since: clock.now() }
    const { answer, since } = looking
    const late = Promise.withResolvers<StoreState>()
    const cancel = clock.after(Math.max(0, since + ANSWER_WITHIN_MS - clock.now()), () => {
      late.resolve(away(store.kind, 'the store does not answer in time'))
    })
    return await Promise.race([answer, late.promise]).finally(cancel)
  }
}

const away = (kind: StoreKind, problem: string): StoreState => ({
  kind,
  reachable: false,
  latencyMs: null,
  sizeBytes: null,
  schemaVersion: null,
  readOnly: null,
  problem,
})

async function readFacts({ db, kind }: Pick<Store, 'db' | 'kind'>): Promise<Facts> {
  const query =
    kind === 'sqlite'
      ? sql<Facts>`select
          (select page_count from pragma_page_count()) * (select page_size from pragma_page_size()) as size,
          (select max(version) from schema_migrations) as version,
          0 as read_only`
      : sql<Facts>`select
          coalesce((select sum(pg_total_relation_size(c.oid)) from pg_class c
            where c.relkind = 'r' and c.relnamespace = current_schema()::regnamespace), 0)::bigint as size,
          (select max(version) from schema_migrations) as version,
          (pg_is_in_recovery() or current_setting('transaction_read_only') = 'on') as read_only`
  const { rows } = await query.execute(db)
  const [facts] = rows
  if (!facts) throw new Error('a query without FROM has one row')
  return facts
}
