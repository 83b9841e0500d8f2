import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import type { Observe } from '../observe/observation.ts'
import type { ConnectionKind } from './connection.ts'
import type { DatabaseStatus } from './status.ts'

/** After a failed attempt, everybody is answered at once for so long; then one attempt is made. */
const PAUSE_MS = 1_000

interface Circuit {
  failedAt: number | null
  probing: boolean
}

export interface AvailabilityOptions {
  readonly database: string
  readonly role: string
  readonly clock: Clock
  readonly observe: Observe
}

/**
 * Whether a database can be used, and why not. While it is away, callers get a fault at once instead of
 * each waiting for a connection that cannot come.
 */
export class Availability {
  readonly #options: AvailabilityOptions
  readonly #circuits: Record<ConnectionKind, Circuit> = {
    read: { failedAt: null, probing: false },
    write: { failedAt: null, probing: false },
  }
  #state: DatabaseStatus['state'] = 'unknown'
  #message: string | null = null
  #version: string | null = null

  constructor(options: AvailabilityOptions) {
    this.#options = options
  }

  get state(): DatabaseStatus['state'] {
    return this.#state
  }

  get message(): string | null {
    return this.#message
  }

  get version(): string | null {
    return this.#version
  }

  /** Lets an attempt to connect begin, or throws `Fault` (`database_unavailable`). */
  admit(kind: ConnectionKind): void {
    const circuit = this.#circuits[kind]
    if (circuit.failedAt === null) return
    if (circuit.probing || this.#options.clock.now() - circuit.failedAt < PAUSE_MS) throw this.fault()
    circuit.probing = true
  }

  /** An attempt succeeded. */
  reached(kind: ConnectionKind, version: string | null): void {
    this.#circuits[kind] = { failedAt: null, probing: false }
    this.#version = version ?? this.#version
  }

  /** The database may be used: reads connect, and their role has been looked at. */
  up(): void {
    if (this.#state === 'up') return
    this.#state = 'up'
    this.#message = null
    const { database, role, observe } = this.#options
    observe({ kind: 'database.up', database, version: this.#version ?? 'unknown', role })
  }

  /** An attempt ended without an answer about the database: it was given up, or the server is full. */
  undecided(kind: ConnectionKind): void {
    this.#circuits[kind].probing = false
  }

  /** An attempt failed. A writer that cannot log in does not take the reads down. */
  down(kind: ConnectionKind, message: string, cause: unknown): Fault {
    this.#trip(kind)
    if (kind === 'read') this.#change('down', message)
    else this.#options.observe({ kind: 'database.down', database: this.#options.database, message })
    return this.fault(cause)
  }

  /** The database is there, but must not be served as it is set up. */
  refuse(kind: ConnectionKind, message: string): Fault {
    this.#trip(kind)
    if (kind === 'read') this.#change('refused', message)
    else this.#options.observe({ kind: 'database.down', database: this.#options.database, message })
    return this.fault()
  }

  /** What callers are told; the reason is in the status and in the log. */
  fault(cause?: unknown): Fault {
    const { database } = this.#options
    const text =
      this.#state === 'refused'
        ? `database "${database}" is not served because of how it is set up: its operator finds the reason in the status`
        : `database "${database}" is not available at the moment`
    return new Fault('database_unavailable', text, { retryAfterS: this.#state === 'refused' ? 30 : 2, cause })
  }

  #trip(kind: ConnectionKind): void {
    this.#circuits[kind] = { failedAt: this.#options.clock.now(), probing: false }
  }

  #change(state: 'down' | 'refused', message: string): void {
    if (this.#state === state && this.#message === message) return
    this.#state = state
    this.#message = message
    this.#options.observe({ kind: 'database.down', database: this.#options.database, message })
  }
}
