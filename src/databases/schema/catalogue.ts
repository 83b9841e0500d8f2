import type { Clock } from '../../lib/clock.ts'
import type { OpenDatabases } from '../open.ts'
import type { TenantView } from '../tenancy/tenancy.ts'
import { type CatalogueQuery, loadRelations, loadSignature } from './load.ts'
import type { Relation } from './relation.ts'
import { buildSearch, type SchemaMatch } from './search.ts'

/** What one database role may read, as of a moment ago. */
export interface SchemaCatalogue {
  /** By schema, then name. */
  readonly relations: readonly Relation[]
  /** There are more relations than Postern keeps. */
  readonly incomplete: boolean
  /** Relations of that name, in any schema unless one is given. Names are compared exactly, then without case. */
  find(name: string, schema?: string): Relation[]
  search(query: string, limit: number): SchemaMatch[]
}

export interface SchemaCatalogues {
  /** Throws `Fault` (`database_unavailable`) when the database is away: what it allowed then may not hold now. */
  of(database: string): Promise<SchemaCatalogue>
}

export interface SchemaOptions {
  readonly databases: Pick<OpenDatabases, 'catalogueQuery' | 'tenantView'>
  readonly clock: Clock
  /** After this a catalogue is compared with the database before it is used; default 15 s. */
  readonly staleAfterMs?: number
  /** After this it is loaded again, changed or not, for what the comparison does not see; default 10 min. */
  readonly reloadAfterMs?: number
}

/** Keeps the schema of each database, loaded at first use and brought up to date when it has become stale. */
export function openSchemaCatalogues(options: SchemaOptions): SchemaCatalogues {
  const held = new Map<string, Holder>()
  return {
    of(database) {
      let holder = held.get(database)
      if (!holder) {
        const query: CatalogueQuery = (sql, params) => options.databases.catalogueQuery(database, sql, params)
        holder = new Holder(query, options.databases.tenantView(database), options)
        held.set(database, holder)
      }
      return holder.current()
    },
  }
}

class Holder {
  readonly #query: CatalogueQuery
  readonly #tenants: TenantView | null
  readonly #options: SchemaOptions
  #kept: { catalogue: SchemaCatalogue; signature: string; checkedAt: number; loadedAt: number } | undefined
  #underway: Promise<SchemaCatalogue> | undefined

  constructor(query: CatalogueQuery, tenants: TenantView | null, options: SchemaOptions) {
    this.#query = query
    this.#tenants = tenants
    this.#options = options
  }

  /** Callers that arrive together share one load. */
  current(): Promise<SchemaCatalogue> {
    const kept = this.#kept
    const now = this.#options.clock.now()
    if (kept && now - kept.checkedAt < (this.#options.staleAfterMs ?? 15_000)) {
      return Promise.resolve(kept.catalogue)
    }
    return (this.#underway ??= this.#refresh(now).finally(() => {
      this.#underway = undefined
    }))
  }

  async #refresh(now: number): Promise<SchemaCatalogue> {
    const kept = this.#kept
    // Before the load: a change during it makes the next comparison fail, and loads again.
    const signature = await loadSignature(this.#query)
    const old = kept && now - kept.loadedAt >= (this.#options.reloadAfterMs ?? 600_000)
    if (kept && !old && kept.signature === signature) {
      kept.checkedAt = now
      return kept.catalogue
    }
    const { relations, incomplete } = await loadRelations(this.#query, this.#tenants)
    const index = await buildSearch(relations)
    const byName = Map.groupBy(relations, (relation) => relation.name.toLowerCase())
    const catalogue: SchemaCatalogue = {
      relations,
      incomplete,
      find(name, schema) {
        const alike = (byName.get(name.toLowerCase()) ?? []).filter(
          (relation) => schema === undefined || relation.schema.toLowerCase() === schema.toLowerCase(),
        )
        const exact = alike.filter(
          (relation) => relation.name === name && (schema === undefined || relation.schema === schema),
        )
        return exact.length > 0 ? exact : alike
      },
      search: (query, limit) => index.search(query, limit),
    }
    this.#kept = { catalogue, signature, checkedAt: now, loadedAt: now }
    return catalogue
  }
}
