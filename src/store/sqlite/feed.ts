import { statSync } from 'node:fs'
import type { Clock } from '../../lib/clock.ts'
import type { Observe } from '../../observe/observation.ts'
import type { Announcer } from '../announcer.ts'
import type { ChangeFeed } from '../change-feed.ts'
import type { Revision } from '../changes.ts'
import { openSqliteDatabase, type SqliteDatabase } from './database.ts'

/** A look at `data_version` costs about two microseconds: cheap enough to look this often. */
const POLL_EVERY_MS = 10

/** Every so many polls it is checked that the open file is still the one its path names. */
const POLLS_PER_FILE_CHECK = 50

/**
 * Notices commits of other processes by `PRAGMA data_version`, which rises on a connection when any other
 * connection has committed (https://sqlite.org/pragma.html#pragma_data_version), and then reads which
 * topics changed.
 */
export class SqliteFeed implements ChangeFeed {
  readonly #database: SqliteDatabase
  readonly #announcer: Announcer
  readonly #clock: Clock
  readonly #observe: Observe
  readonly #file: string
  readonly #inode: number
  readonly #readVersion: () => unknown
  readonly #readRevisions: () => Revision[]
  #version: unknown
  #polls = 0
  #lost = false
  #replaced = false
  #cancel: (() => void) | undefined
  #closed = false

  constructor(file: string, announcer: Announcer, clock: Clock, observe: Observe) {
    this.#file = file
    this.#announcer = announcer
    this.#clock = clock
    this.#observe = observe
    this.#database = openSqliteDatabase(file)
    this.#inode = statSync(file).ino
    const version = this.#database.prepare<[], unknown>('PRAGMA data_version').pluck()
    const revisions = this.#database.prepare<[], Revision>('SELECT topic, revision FROM changes')
    this.#readVersion = () => version.get()
    this.#readRevisions = () => revisions.all()
    // The version first: a commit between the two reads is then seen twice, never missed.
    this.#version = this.#readVersion()
    announcer.startFrom(this.#readRevisions())
    this.#schedule()
  }

  subscribe(listener: (topic: string) => void): () => void {
    return this.#announcer.subscribe(listener)
  }

  healthy(): boolean {
    return !this.#lost && !this.#replaced && !this.#closed
  }

  /** True when the path names another file than the one that is open: a restored or deleted store. */
  get replaced(): boolean {
    return this.#replaced
  }

  close(): void {
    this.#closed = true
    this.#cancel?.()
    this.#database.close()
  }

  #schedule(): void {
    if (this.#closed) return
    this.#cancel = this.#clock.after(POLL_EVERY_MS, () => {
      this.#poll()
      this.#schedule()
    })
  }

  #poll(): void {
    try {
      this.#polls += 1
      if (this.#polls % POLLS_PER_FILE_CHECK === 0) this.#checkFile()
      const version = this.#readVersion()
      if (version !== this.#version || this.#lost) {
        const revisions = this.#readRevisions()
        this.#version = version
        this.#announcer.see(revisions)
      }
      this.#found()
    } catch (error) {
      this.#lose(error instanceof Error ? error.message : 'unknown error')
    }
  }

  /** Changes made to a file that replaced ours would never be seen, so ours must not be trusted any more. */
  #checkFile(): void {
    const inode = statSync(this.#file, { throwIfNoEntry: false })?.ino
    if (inode === this.#inode || this.#replaced) return
    this.#replaced = true
    const what = inode === undefined ? 'deleted' : 'replaced'
    this.#observe({
      kind: 'store.feed_lost',
      message: `the store ${this.#file} was ${what}: restart Postern`,
    })
  }

  #lose(message: string): void {
    if (this.#lost) return
    this.#lost = true
    this.#observe({ kind: 'store.feed_lost', message })
  }

  #found(): void {
    if (!this.#lost) return
    this.#lost = false
    this.#observe({ kind: 'store.feed_restored' })
  }
}
