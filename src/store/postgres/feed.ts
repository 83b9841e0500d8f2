import { Client } from 'pg'
import type { Clock } from '../../lib/clock.ts'
import { Fault } from '../../lib/fault.ts'
import type { Secret } from '../../lib/secret.ts'
import type { Observe } from '../../observe/observation.ts'
import type { Announcer } from '../announcer.ts'
import type { ChangeFeed } from '../change-feed.ts'
import type { Revision } from '../changes.ts'
import { postgresFault } from './faults.ts'
import { IN_USE_KEY, RESTORED_TOPIC } from './in-use.ts'
import { postgresTypes } from './types.ts'

export const CHANNEL = 'postern_changes'

/**
 * How often the revisions are read although nothing was announced. Finds a connection that died without a
 * word (a half-open socket hears no NOTIFY), and stands in for LISTEN where a pooler swallows it.
 */
const HEARTBEAT_EVERY_MS = 500

/** A heartbeat that takes longer than this means the feed is lost. */
const ANSWER_WITHIN_MS = 1_000

const FIRST_RECONNECT_MS = 50
const LONGEST_RECONNECT_MS = 2_000

/**
 * Hears of changes over a connection of its own. After every reconnect it reads the revisions, because
 * what was announced meanwhile is gone; only then is it healthy again.
 */
export class PostgresFeed implements ChangeFeed {
  readonly #url: Secret
  readonly #announcer: Announcer
  readonly #clock: Clock
  readonly #observe: Observe
  #client: Client | undefined
  #healthy = false
  #restored = false
  #closed = false
  #reading = false
  #readAgain = false
  #reconnectMs = FIRST_RECONNECT_MS
  #cancelTimer: (() => void) | undefined

  constructor(url: Secret, announcer: Announcer, clock: Clock, observe: Observe) {
    this.#url = url
    this.#announcer = announcer
    this.#clock = clock
    this.#observe = observe
    announcer.subscribe((topic) => {
      if (topic === RESTORED_TOPIC) this.#noticeRestore()
    })
  }

  /** @throws Fault `store_unavailable` */
  async start(): Promise<void> {
    try {
      this.#announcer.startFrom(await this.#connect())
    } catch (error) {
      throw postgresFault(error)
    }
    this.#healthy = true
    this.#scheduleHeartbeat()
  }

  subscribe(listener: (topic: string) => void): () => void {
    return this.#announcer.subscribe(listener)
  }

  healthy(): boolean {
    return this.#healthy && !this.#restored
  }

  /** True when a backup took the place of what was here: what is remembered of the store is of another one. */
  get restored(): boolean {
    return this.#restored
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#healthy = false
    this.#cancelTimer?.()
    const client = this.#client
    this.#client = undefined
    await client?.end()
  }

  /** LISTEN first, then read: a change between the two is seen twice, never missed. */
  async #connect(): Promise<readonly Revision[]> {
    const client = new Client({
      connectionString: this.#url.reveal(),
      application_name: 'postern-feed',
      connectionTimeoutMillis: 5_000,
      query_timeout: ANSWER_WITHIN_MS,
      keepAlive: true,
      types: postgresTypes,
    })
    const lost = (error?: Error): void => {
      if (this.#client === client) this.#lose(client, error?.message ?? 'the connection was closed')
    }
    client.on('error', lost)
    client.on('end', () => lost())
    try {
      await client.connect()
      await client.query(`LISTEN ${CHANNEL}`)
      await shareStore(client)
      const revisions = await readRevisions(client)
      if (this.#closed) throw new Error('closed')
      this.#client = client
      // The payload is only a hint: what counts is what the table says.
      client.on('notification', () => void this.#catchUp(client))
      return revisions
    } catch (error) {
      void client.end().catch(() => undefined)
      throw error
    }
  }

  /** One read at a time on the connection; what arrives during a read asks for one more after it. */
  async #catchUp(client: Client): Promise<void> {
    if (this.#reading) {
      this.#readAgain = true
      return
    }
    this.#reading = true
    try {
      do {
        this.#readAgain = false
        const revisions = await readRevisions(client)
        if (this.#client === client) this.#announcer.see(revisions)
      } while (this.#readAgain && this.#client === client)
    } catch (error) {
      this.#lose(client, error instanceof Error ? error.message : 'unknown error')
    } finally {
      this.#reading = false
    }
  }

  #scheduleHeartbeat(): void {
    if (this.#closed) return
    this.#cancelTimer = this.#clock.after(HEARTBEAT_EVERY_MS, () => {
      const client = this.#client
      if (!client) return
      void this.#catchUp(client).then(() => {
        if (this.#client === client) this.#scheduleHeartbeat()
      })
    })
  }

  #noticeRestore(): void {
    if (this.#restored) return
    this.#restored = true
    this.#observe({
      kind: 'store.feed_lost',
      message: 'a backup was restored into the store while it was in use: restart Postern',
    })
  }

  #lose(client: Client, message: string): void {
    if (this.#client !== client || this.#closed) return
    this.#client = undefined
    this.#healthy = false
    void client.end().catch(() => undefined)
    this.#observe({ kind: 'store.feed_lost', message })
    this.#reconnectMs = FIRST_RECONNECT_MS
    this.#scheduleReconnect()
  }

  #scheduleReconnect(): void {
    if (this.#closed) return
    this.#cancelTimer?.()
    this.#cancelTimer = this.#clock.after(this.#reconnectMs, () => void this.#reconnect())
    this.#reconnectMs = Math.min(this.#reconnectMs * 2, LONGEST_RECONNECT_MS)
  }

  async #reconnect(): Promise<void> {
    try {
      const revisions = await this.#connect()
      this.#announcer.see(revisions)
    } catch {
      this.#scheduleReconnect()
      return
    }
    this.#healthy = true
    this.#observe({ kind: 'store.feed_restored' })
    this.#scheduleHeartbeat()
  }
}

/** @throws Fault `store_unavailable` while somebody has the store for themselves */
async function shareStore(client: Client): Promise<void> {
  const { rows } = await client.query<{ shared: boolean }>(
    `SELECT pg_try_advisory_lock_shared(${IN_USE_KEY}) AS shared`,
  )
  if (rows[0]?.shared === true) return
  throw new Fault('store_unavailable', 'the PostgreSQL store: a backup is being restored into it', {
    retryAfterS: 5,
  })
}

async function readRevisions(client: Client): Promise<readonly Revision[]> {
  const { rows } = await client.query<Revision>('SELECT topic, revision FROM changes')
  return rows
}
