import { BoundedMap } from '../../lib/bounded-map.ts'
import type { Caller } from '../../identity/caller.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Sealer } from '../../lib/seal.ts'
import { Secret } from '../../lib/secret.ts'
import type { Observe } from '../../observe/observation.ts'
import { readRevisions } from '../../store/changes.ts'
import type { Store } from '../../store/open.ts'
import { isDeletedTenant } from '../../store/tenants.ts'
import {
  findUpstreamCredential,
  listUpstreamCredentials,
  putUpstreamCredential,
  readUpstreamCredentialsAfter,
  removeUpstreamCredential,
  type UpstreamCredentialRow,
} from '../../store/upstream-credentials.ts'
import { type CredentialPlace, placeOf, type UserCredentials } from '../user-credentials.ts'

const TOPIC = 'upstream_credentials'

/** Answers held in memory, also that there is none; some 300 bytes each. */
const MOST_KNOWN = 10_000

/** Changed rows that are read at once. */
const CHANGES_AT_ONCE = 500

/** Without a healthy feed, what was read from the store counts for this long. */
const TRUST_MS = 2_000

/** A change that could not be read is tried again after this. */
const RETRY_MS = 500

/** Of one list. */
const MOST_LISTED = 1_000

/** A credential as it may be shown: never its value. */
export interface CredentialRecord extends CredentialPlace {
  /** Milliseconds since the epoch. */
  readonly createdAt: number
  readonly updatedAt: number
}

export interface StoredCredentialsParts {
  readonly store: Store
  /** Asked when a value is to be sealed or opened for the first time. */
  readonly key: () => Promise<Sealer>
  readonly clock: Clock
  readonly observe: Observe
}

interface Answer {
  readonly secret: Secret | undefined
  readonly checkedAt: number
}

/**
 * The credentials of principals in the store, sealed there, remembered here, and kept true by the change feed:
 * what somebody changed or removed, in whatever process, is not used any more.
 */
export class StoredCredentials implements UserCredentials {
  readonly #parts: StoredCredentialsParts
  readonly #answers = new BoundedMap<string, Answer>(MOST_KNOWN)
  readonly #heard = new Set<(place: CredentialPlace) => void>()
  #sealer: Promise<Sealer> | undefined
  /** Rises with every announced change: a read that began before one must not be remembered after it. */
  #generation = 0
  #revision = 0
  #current = true
  #refreshing: Promise<void> | undefined
  #cancelRetry: (() => void) | undefined
  #unsubscribe: () => void = () => undefined
  #closed = false

  constructor(parts: StoredCredentialsParts) {
    this.#parts = parts
  }

  /** @throws Fault `store_unavailable` */
  async start(): Promise<void> {
    const { store } = this.#parts
    this.#unsubscribe = store.feed.subscribe((topic) => {
      if (topic !== TOPIC) return
      this.#generation += 1
      this.#current = false
      void this.#refresh()
    })
    const revisions = await readRevisions(store.db)
    this.#revision = revisions.find(({ topic }) => topic === TOPIC)?.revision ?? 0
  }

  /**
   * Makes sure that values can be sealed and opened.
   *
   * @throws Fault of `key`
   */
  async ready(): Promise<void> {
    await this.#key()
  }

  known(caller: Caller, server: string): Secret | undefined {
    return this.#trusted(placeOf(caller, server))?.secret
  }

  async find(caller: Caller, server: string): Promise<Secret | undefined> {
    const place = placeOf(caller, server)
    const answer = this.#trusted(place)
    if (answer) return answer.secret
    const generation = this.#generation
    const row = await findUpstreamCredential(this.#parts.store.db, place)
    const secret = await this.#open(row)
    if (generation === this.#generation)
      this.#answers.set(keyOf(place), { secret, checkedAt: this.#parts.clock.now() })
    return secret
  }

  /** Told, synchronously, when a credential was changed or removed by whatever process. */
  onChange(heard: (place: CredentialPlace) => void): () => void {
    const own = (place: CredentialPlace): void => {
      heard(place)
    }
    this.#heard.add(own)
    return () => {
      this.#heard.delete(own)
    }
  }

  /**
   * Keeps a credential in place of the one before. Resolves when the old one is not used any more; with `null`, keeping
   * nothing, where the tenant was deleted, which took what it had left: nobody would ever take this away again.
   *
   * @throws Fault `config_invalid`, `data_dir_unusable`, `store_unavailable`
   */
  async put(place: CredentialPlace, value: Secret): Promise<CredentialRecord | null> {
    const { store, clock } = this.#parts
    const sealed = (await this.#key()).seal(value.reveal(), partsOf(place))
    const row = await store.change(TOPIC, async (trx, revision) =>
      (await isDeletedTenant(trx, place.tenant))
        ? null
        : await putUpstreamCredential(trx, pick(place), sealed, clock.now(), revision),
    )
    await this.#refresh()
    return row && recordOf(row)
  }

  /** Answers whether there was one. Needs no key. */
  async remove(place: CredentialPlace): Promise<boolean> {
    const { store, clock } = this.#parts
    const removed = await store.change(TOPIC, (trx, revision) =>
      removeUpstreamCredential(trx, pick(place), clock.now(), revision),
    )
    await this.#refresh()
    return removed
  }

  async get(place: CredentialPlace): Promise<CredentialRecord | undefined> {
    const row = await findUpstreamCredential(this.#parts.store.db, place)
    return row && row.sealed !== null ? recordOf(row) : undefined
  }

  /** At most a thousand, by server, tenant and principal. */
  async list(filter: Partial<CredentialPlace>): Promise<readonly CredentialRecord[]> {
    return (await listUpstreamCredentials(this.#parts.store.db, filter, MOST_LISTED)).map(recordOf)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#unsubscribe()
    this.#cancelRetry?.()
    this.#heard.clear()
    await this.#refreshing
  }

  #trusted(place: CredentialPlace): Answer | undefined {
    const answer = this.#answers.get(keyOf(place))
    if (!answer) return undefined
    const { store, clock } = this.#parts
    const sure = this.#current && store.feed.healthy()
    return sure || clock.now() - answer.checkedAt < TRUST_MS ? answer : undefined
  }

  /** A key that could not be had is asked for again: the operator may have mended the file. */
  #key(): Promise<Sealer> {
    this.#sealer ??= this.#parts.key().catch((error: unknown) => {
      this.#sealer = undefined
      throw error
    })
    return this.#sealer
  }

  async #open(row: UpstreamCredentialRow | undefined): Promise<Secret | undefined> {
    if (!row || row.sealed === null) return undefined
    const opened = (await this.#key()).open(row.sealed, partsOf(row))
    if (opened.ok) return new Secret(opened.value)
    const why =
      opened.error === 'other_key' ? 'was sealed with another key' : 'was changed or moved in the store'
    this.#parts.observe({
      kind: 'config.warning',
      message: `the credential of ${row.principal} for MCP server ${row.server} ${why} and counts as missing`,
    })
    return undefined
  }

  /** Reads what changed and acts on it. Resolves also when the store does not answer. */
  async #refresh(): Promise<void> {
    // What was announced while it reads belongs to the next reading.
    while (this.#refreshing) await this.#refreshing
    if (this.#current || this.#closed) return
    this.#refreshing = this.#takeChanges().finally(() => {
      this.#refreshing = undefined
    })
    await this.#refreshing
  }

  async #takeChanges(): Promise<void> {
    const { store, clock, observe } = this.#parts
    const generation = this.#generation
    try {
      let rows: readonly UpstreamCredentialRow[]
      do {
        rows = await readUpstreamCredentialsAfter(store.db, this.#revision, CHANGES_AT_ONCE)
        for (const row of rows) {
          this.#answers.delete(keyOf(row))
          this.#revision = Math.max(this.#revision, row.revision)
          this.#tell(row)
        }
      } while (rows.length === CHANGES_AT_ONCE)
      if (generation === this.#generation) this.#current = true
    } catch (error) {
      if (this.#closed) return
      observe({ kind: 'fault', where: 'upstreams.credentials', error })
      this.#cancelRetry?.()
      this.#cancelRetry = clock.after(RETRY_MS, () => void this.#refresh())
    }
  }

  #tell(row: UpstreamCredentialRow): void {
    for (const heard of this.#heard) {
      try {
        heard(pick(row))
      } catch (error) {
        this.#parts.observe({ kind: 'fault', where: 'upstreams.credentials', error })
      }
    }
  }
}

const pick = ({ tenant, principal, server }: CredentialPlace): CredentialPlace => ({
  tenant,
  principal,
  server,
})

const partsOf = ({ tenant, principal, server }: CredentialPlace): readonly string[] => [
  tenant,
  principal,
  server,
]

/** Names hold no NUL: what could be read as two places must not be one key. */
const keyOf = (place: CredentialPlace): string => JSON.stringify(partsOf(place))

const recordOf = (row: UpstreamCredentialRow): CredentialRecord => ({
  ...pick(row),
  createdAt: row.createdAt,
  updatedAt: row.updatedAt,
})
