import { type FSWatcher, watch } from 'node:fs'
import { lstat, readlink } from 'node:fs/promises'
import { dirname, join, parse, resolve, sep } from 'node:path'
import type { Clock } from '../lib/clock.ts'
import { sha256Hex } from '../lib/digest.ts'
import type { Result } from '../lib/result.ts'
import { Report } from './problem.ts'
import { readFile } from './read-file.ts'

export interface WatchOptions<L extends { readonly digest: string | null }, E> {
  /** Absolute path, as in `Loaded`. */
  readonly file: string
  /** Of what is in force, from `Loaded`: a change since then is noticed at once. */
  readonly digest: string | null
  /** Never rejects. */
  readonly load: () => Promise<Result<L, E>>
  /** Called with every new content, good or bad. What was in force stays so until the callee says otherwise. */
  readonly onChange: (result: Result<L, E>) => void
  readonly clock: Clock
  /** The content must stay the same for this time, so that a half-written file is not read. Milliseconds. */
  readonly settleMs?: number
  /** How often to look without being told, for file systems that tell nothing (NFS). Milliseconds. */
  readonly recheckMs?: number
}

export interface Watch {
  close(): void
}

/**
 * Watches a configuration file. Watching directories, not the file, is what survives a replaced file
 * (`rename`), a swapped symbolic link anywhere on the way (Kubernetes' `..data`), and a file that is away
 * for a moment.
 */
export function watchSettings<L extends { readonly digest: string | null }, E>(
  options: WatchOptions<L, E>,
): Watch {
  const { file, load, onChange, clock, settleMs = 50, recheckMs = 5_000 } = options
  let inForce = options.digest
  let seen: string | null | undefined
  let closed = false
  let looking = false
  let again = false
  let cancelLook: (() => void) | undefined
  let cancelRecheck: (() => void) | undefined
  const watchers = new Map<string, FSWatcher>()

  /** Looks soon. Events while a look is due do not put it off: a busy directory must not starve it. */
  const lookSoon = (): void => {
    if (closed || cancelLook) return
    cancelLook = clock.after(settleMs, () => {
      cancelLook = undefined
      void look()
    })
  }

  const look = async (): Promise<void> => {
    if (looking) {
      again = true
      return
    }
    looking = true
    try {
      await followLinks()
      const digest = await digestOf(file)
      if (closed) return
      if (digest === inForce) seen = digest
      else if (digest === seen) await apply(digest)
      else {
        seen = digest
        again = true
      }
    } finally {
      looking = false
      if (again) {
        again = false
        lookSoon()
      }
    }
  }

  const apply = async (digest: string | null): Promise<void> => {
    const result = await load()
    if (closed) return
    // What was loaded may be newer than what was looked at; then it is not loaded once more.
    inForce = result.ok ? result.value.digest : digest
    onChange(result)
  }

  const followLinks = async (): Promise<void> => {
    const wanted = await directoriesOf(file)
    if (closed) return
    for (const [directory, watcher] of watchers) {
      if (wanted.has(directory)) continue
      watchers.delete(directory)
      watcher.close()
    }
    for (const directory of wanted) {
      if (watchers.has(directory)) continue
      try {
        const watcher = watch(directory, { persistent: false }, lookSoon)
        watchers.set(directory, watcher)
        // The directory itself went away: the next look watches what stands there then.
        watcher.on('error', () => {
          watcher.close()
          watchers.delete(directory)
          lookSoon()
        })
      } catch {
        // No such directory, or no more watches: looking every few seconds still finds the change.
      }
    }
  }

  const recheck = (): void => {
    cancelRecheck = clock.after(recheckMs, () => {
      void look()
      recheck()
    })
  }

  void look()
  recheck()
  return {
    close() {
      closed = true
      cancelLook?.()
      cancelRecheck?.()
      for (const watcher of watchers.values()) watcher.close()
      watchers.clear()
    },
  }
}

/** `null` for a file that cannot be read. */
async function digestOf(file: string): Promise<string | null> {
  const read = await readFile(file, new Report())
  return read ? sha256Hex(read.text) : null
}

/** More symbolic links than this are a loop (as the kernel sees it). */
const MOST_LINKS = 40

/** Every directory in which something could change what the path leads to. */
async function directoriesOf(file: string): Promise<ReadonlySet<string>> {
  const directories = new Set<string>()
  let links = 0
  let current = parse(file).root
  const rest = file.slice(current.length).split(sep)
  while (rest.length > 0) {
    const step = rest.shift() ?? ''
    if (step === '' || step === '.') continue
    const next = step === '..' ? dirname(current) : join(current, step)
    let target: string | undefined
    try {
      if (links < MOST_LINKS && (await lstat(next)).isSymbolicLink()) target = await readlink(next)
    } catch {
      // Not there yet: its directory is what to watch.
      directories.add(current)
      return directories
    }
    if (target === undefined) {
      if (rest.length === 0) directories.add(current)
      current = next
      continue
    }
    links += 1
    directories.add(current)
    const absolute = resolve(current, target)
    current = parse(absolute).root
    rest.unshift(...absolute.slice(current.length).split(sep))
  }
  return directories
}
