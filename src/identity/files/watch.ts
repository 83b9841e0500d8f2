import { type FSWatcher, watch } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from '../../lib/clock.ts'
import type { Observe } from '../../observe/observation.ts'

/**
 * Files are looked at this often whatever the system reports: network file systems report nothing, and
 * the number of watches is limited. One look is one stat of each.
 */
const LOOK_EVERY_MS = 25

/**
 * Calls `look` soon after anything happened in the directories that matter (where the paths are, and where
 * their links lead), and in any case 40 times a second. Looks never overlap; `look` answers after how many
 * milliseconds it wants to be called again, or `undefined` for the usual time.
 */
export class Watch {
  readonly #files: readonly string[]
  readonly #look: () => Promise<number | undefined>
  readonly #clock: Clock
  readonly #observe: Observe
  readonly #where: string
  readonly #watchers = new Map<string, FSWatcher>()
  #cancel: (() => void) | undefined
  #looking: Promise<void> | undefined
  #again = false
  #closed = false

  /** @param where for the log, should a look fail: `identity.token_file` */
  constructor(
    files: readonly string[],
    look: () => Promise<number | undefined>,
    parts: { readonly clock: Clock; readonly observe: Observe; readonly where: string },
  ) {
    this.#files = files
    this.#look = look
    this.#clock = parts.clock
    this.#observe = parts.observe
    this.#where = parts.where
  }

  async start(): Promise<void> {
    await this.#watchDirectories()
    this.#schedule(LOOK_EVERY_MS)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancel?.()
    for (const watcher of this.#watchers.values()) watcher.close()
    await this.#looking
  }

  #schedule(delayMs: number): void {
    this.#cancel?.()
    if (this.#closed) return
    this.#cancel = this.#clock.after(delayMs, () => this.#lookNow())
  }

  #lookNow(): void {
    if (this.#closed) return
    if (this.#looking) {
      this.#again = true
      return
    }
    this.#again = false
    let next = LOOK_EVERY_MS
    this.#looking = this.#look()
      .then((delayMs) => {
        next = delayMs ?? LOOK_EVERY_MS
      })
      .catch((error: unknown) => this.#observe({ kind: 'fault', where: this.#where, error }))
      .finally(() => {
        this.#looking = undefined
        this.#schedule(this.#again ? 1 : next)
      })
  }

  /** After a link was swapped the directory it leads to is another one. */
  async #watchDirectories(): Promise<void> {
    const wanted = new Set(this.#files.map((file) => dirname(file)))
    for (const file of this.#files) {
      try {
        wanted.add(dirname(await realpath(file)))
      } catch {
        // No file yet: its own directory is where it will appear.
      }
    }
    if (this.#closed) return
    for (const [directory, watcher] of this.#watchers) {
      if (wanted.has(directory)) continue
      watcher.close()
      this.#watchers.delete(directory)
    }
    for (const directory of wanted) {
      if (!this.#watchers.has(directory)) this.#watch(directory)
    }
  }

  #watch(directory: string): void {
    try {
      const watcher = watch(directory, { persistent: false }, () => {
        void this.#watchDirectories()
        this.#lookNow()
      })
      // A directory that goes away, or no watches left: looking goes on without it.
      watcher.on('error', () => {
        watcher.close()
        this.#watchers.delete(directory)
      })
      this.#watchers.set(directory, watcher)
    } catch {
      this.#watchers.delete(directory)
    }
  }
}
