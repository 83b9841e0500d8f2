import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import type { Observe } from '../observe/observation.ts'
import type { Append } from './append.ts'
import { entryText } from './entry-text.ts'
import type { AuditEvent, AuditSink } from './entry.ts'
import { EntryPages } from './entry-pages.ts'

export interface AuditWriterOptions {
  /** Events held in memory before callers must wait; with a SIGKILL these are lost, and no more. */
  readonly bufferEvents: number
  /** Milliseconds after the first waiting event until it is written. */
  readonly flushIntervalMs: number
}

/** How far the record is behind. */
export interface AuditState {
  /** Entries in memory. */
  readonly waiting: number
  /** No more fit: callers wait, and are refused after some seconds. */
  readonly full: boolean
  /** The store did not take the last ones; they are tried again. */
  readonly failing: boolean
  /** Milliseconds since the epoch; `null` before the first write of this process. */
  readonly lastWrittenAt: number | null
}

/** Written in one transaction: many, because each waits for the disk once. */
const BATCH_EVENTS = 2_048

/** After a failed write the next try waits this long, doubling up to `LONGEST_RETRY_MS`. */
const FIRST_RETRY_MS = 100
const LONGEST_RETRY_MS = 5_000

/** A call that finds no room for this long is refused: what cannot be recorded must not happen. */
const LONGEST_WAIT_FOR_ROOM_MS = 5_000

/**
 * The one writer of the audit chain in this process. Takes events without waiting, writes them in
 * batches, keeps them when the store fails, and makes callers wait when its buffer is full.
 */
export class AuditWriter implements AuditSink {
  readonly #append: Append
  readonly #clock: Clock
  readonly #observe: Observe
  readonly #options: AuditWriterOptions
  readonly #waiting: EntryPages
  #cancelTimer: (() => void) | undefined
  #writing: Promise<void> | undefined
  #retryMs = FIRST_RETRY_MS
  #closed = false
  readonly #roomSeekers = new Set<() => void>()
  #flushes = 0
  #written = 0
  #lastWrittenAt: number | null = null

  constructor(append: Append, clock: Clock, observe: Observe, options: AuditWriterOptions) {
    this.#append = append
    this.#clock = clock
    this.#observe = observe
    this.#options = options
    this.#waiting = new EntryPages(Math.min(BATCH_EVENTS, Math.ceil(options.bufferEvents / 2)))
  }

  /** Entries in memory; transactions, and the entries in them, that this process wrote. */
  counts(): { readonly waiting: number; readonly flushes: number; readonly written: number } {
    return { waiting: this.#waiting.count, flushes: this.#flushes, written: this.#written }
  }

  state(): AuditState {
    return {
      waiting: this.#waiting.count,
      full: this.#waiting.count >= this.#options.bufferEvents,
      failing: this.#isFailing,
      lastWrittenAt: this.#lastWrittenAt,
    }
  }

  record(event: AuditEvent): void {
    this.#waiting.push({ at: event.at, entry: entryText(event) })
    // While the store fails, only the timer tries again: not every event anew.
    if (this.#waiting.hasFullPage && !this.#writing && !this.#isFailing) void this.#write('full pages')
    this.#schedule(this.#options.flushIntervalMs)
  }

  /**
   * Undefined while there is room. Otherwise resolves when there is.
   *
   * @throws Fault `store_unavailable` (as a rejection) when the store takes nothing for several seconds
   */
  room(): Promise<void> | undefined {
    if (this.#waiting.count < this.#options.bufferEvents) return undefined
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(LONGEST_WAIT_FOR_ROOM_MS, () => {
        this.#roomSeekers.delete(enter)
        reject(
          new Fault('store_unavailable', 'the audit record cannot be written at the moment', {
            retryAfterS: 5,
          }),
        )
      })
      const enter = (): void => {
        cancel()
        resolve()
      }
      this.#roomSeekers.add(enter)
    })
  }

  /** Writes everything recorded so far. Rejects when the store does not take it. */
  async flush(): Promise<void> {
    while (this.#waiting.count > 0 || this.#writing) {
      const before = this.#waiting.count
      const failed = await this.#write('all')
      if (failed !== undefined && this.#waiting.count >= before) throw failed
    }
  }

  /** Flushes for the last time. What the store does not take even now is reported, not hidden. */
  async close(): Promise<void> {
    this.#closed = true
    this.#cancelTimer?.()
    await this.flush()
  }

  get #isFailing(): boolean {
    return this.#retryMs > FIRST_RETRY_MS
  }

  #schedule(delayMs: number): void {
    if (this.#cancelTimer || this.#writing || this.#closed) return
    this.#cancelTimer = this.#clock.after(delayMs, () => {
      this.#cancelTimer = undefined
      void this.#write('all')
    })
  }

  /**
   * Writes what waits. Under load only full pages: each commit costs the same, however little it holds, and
   * the timer brings the rest. Answers the fault that stopped it, if one did; never rejects.
   */
  async #write(extent: 'all' | 'full pages'): Promise<unknown> {
    if (this.#writing) {
      await this.#writing
      return undefined
    }
    let fault: unknown
    this.#writing = this.#writePages(extent).catch((error: unknown) => {
      fault = error
    })
    await this.#writing
    this.#writing = undefined
    if (fault === undefined) {
      this.#retryMs = FIRST_RETRY_MS
    } else {
      const message = fault instanceof Error ? fault.message : 'unknown fault'
      this.#observe({ kind: 'audit.flush_failed', message, waiting: this.#waiting.count })
      this.#schedule(this.#retryMs)
      this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS)
    }
    if (this.#waiting.count > 0) this.#schedule(this.#options.flushIntervalMs)
    return fault
  }

  async #writePages(extent: 'all' | 'full pages'): Promise<void> {
    while (extent === 'all' ? this.#waiting.count > 0 : this.#waiting.hasFullPage) {
      const page = this.#waiting.first()
      if (!page) return
      await this.#append(page)
      this.#flushes += 1
      this.#written += page.count
      this.#lastWrittenAt = this.#clock.now()
      this.#waiting.removeFirst()
      this.#admitSeekers()
    }
  }

  #admitSeekers(): void {
    if (this.#waiting.count >= this.#options.bufferEvents) return
    for (const enter of this.#roomSeekers) enter()
    this.#roomSeekers.clear()
  }
}
