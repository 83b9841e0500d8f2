import type { Clock } from '../lib/clock.ts'
import type { Observe } from '../observe/observation.ts'
import type { Store } from '../store/open.ts'
import { isDeletedTenant, readDeletedTenantsAfter } from '../store/tenants.ts'
import { BoundedMap } from '../lib/bounded-map.ts'
import { FIRST_TENANT } from './first-tenant.ts'
import { Following } from './following.ts'

/** Tenants that the store was asked about while nothing could be heard of it. */
const MOST_CHECKED = 10_000

export interface DeletedTenantsParts {
  readonly store: Store
  readonly clock: Clock
  readonly observe: Observe
  /** Ends everything of a tenant; called once for each. */
  readonly end: (tenant: string) => void
  /** Ends what is open of every tenant that could be deleted without this process hearing of it. */
  readonly unverified: () => void
}

/**
 * The tenants that are no more, kept true by the change feed. What names one is refused, also where the store has no
 * say otherwise: in the configuration and in the token file.
 */
export class DeletedTenants {
  readonly #parts: DeletedTenantsParts
  readonly #following: Following
  readonly #deleted = new Set<string>()
  /** When the store last said of a tenant that it is there, or never was. */
  readonly #checkedAt = new BoundedMap<string, number>(MOST_CHECKED)
  #revision = 0

  constructor(parts: DeletedTenantsParts) {
    this.#parts = parts
    this.#following = new Following({
      store: parts.store,
      topic: 'tenants',
      clock: parts.clock,
      observe: parts.observe,
      take: () => this.#takeChanges(),
      unverified: parts.unverified,
    })
  }

  async start(): Promise<void> {
    this.#following.start()
    await this.#takeChanges()
  }

  /**
   * At once where it is known for sure; otherwise the store is asked. The first tenant, whose administrators look after
   * the others, cannot be deleted.
   *
   * @throws Fault `store_unavailable`: closed rather than open
   */
  has(tenant: string, now: number): boolean | Promise<boolean> {
    if (tenant === FIRST_TENANT) return false
    if (this.#deleted.has(tenant)) return true
    if (this.#following.trusts(this.#checkedAt.get(tenant) ?? 0, now)) return false
    return this.#ask(tenant)
  }

  /** What was heard so far, for warnings. */
  knows(tenant: string): boolean {
    return this.#deleted.has(tenant)
  }

  /** Acts on a deletion that this process has just written, before the feed comes round with it. */
  async takeOver(tenant: string): Promise<void> {
    this.#take(tenant)
    await this.#following.refresh()
  }

  ready(now: number): boolean {
    return this.#following.ready(now)
  }

  async close(): Promise<void> {
    await this.#following.close()
  }

  async #ask(tenant: string): Promise<boolean> {
    const { store, clock } = this.#parts
    const askedAt = clock.now()
    const deleted = await isDeletedTenant(store.db, tenant)
    if (deleted) this.#take(tenant)
    else this.#checkedAt.set(tenant, askedAt)
    return deleted
  }

  async #takeChanges(): Promise<void> {
    const rows = await readDeletedTenantsAfter(this.#parts.store.db, this.#revision)
    for (const { id, revision } of rows) {
      this.#take(id)
      this.#revision = Math.max(this.#revision, revision)
    }
  }

  #take(tenant: string): void {
    if (this.#deleted.has(tenant)) return
    this.#deleted.add(tenant)
    this.#checkedAt.delete(tenant)
    this.#parts.end(tenant)
  }
}
