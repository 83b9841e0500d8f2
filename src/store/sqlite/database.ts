import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  fchownSync,
  mkdirSync,
  openSync,
  statSync,
} from 'node:fs'
import { dirname } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import { Fault } from '../../lib/fault.ts'
import { PlantedLink, refusePlantedLink } from '../../lib/planted-link.ts'
import { hasCode, systemCode } from '../../lib/system-code.ts'
import { sqliteFault } from './faults.ts'

export type SqliteDatabase = BetterSqlite3.Database

/** How long SQLite itself waits for a lock of another connection, where a short wait may hold up the thread. */
const BUSY_TIMEOUT_MS = 20

/**
 * Opens one connection. With `neverWaits` SQLite answers SQLITE_BUSY at once: its own waiting blocks the
 * event loop, and the audit thread holds the write lock while it waits for the disk. The driver waits instead.
 *
 * The file is made with mode 0600 and its directory with 0700; SQLite gives its
 * `-wal` and `-shm` files the mode of the file.
 *
 * `synchronous = FULL`: with NORMAL a power cut may undo the last commits, and one of them may be a
 * revocation that was already confirmed to an administrator. The price is one fsync for each commit.
 */
export function openSqliteDatabase(
  file: string,
  { neverWaits = false }: { readonly neverWaits?: boolean } = {},
): SqliteDatabase {
  makePrivateFile(file)
  let database: SqliteDatabase | undefined
  try {
    database = new BetterSqlite3(file, { timeout: BUSY_TIMEOUT_MS })
    useWal(database)
    database.pragma('synchronous = FULL')
    database.pragma('foreign_keys = ON')
    if (neverWaits) database.pragma('busy_timeout = 0')
    return database
  } catch (error) {
    database?.close()
    throw sqliteFault(error, file)
  }
}

/** Switching to WAL needs the file alone for a moment, so two first starts at once can meet here. */
function useWal(database: SqliteDatabase): void {
  const waitUntil = Date.now() + 10_000
  for (;;) {
    try {
      database.pragma('journal_mode = WAL')
      return
    } catch (error) {
      const busy = error instanceof BetterSqlite3.SqliteError && error.code.startsWith('SQLITE_BUSY')
      if (!busy || Date.now() > waitUntil) throw error
    }
  }
}

/**
 * Makes the file where there is none. One that is there is only looked at, never opened: closing it would let go of every
 * lock that this process holds on it by way of SQLite (https://sqlite.org/howtocorrupt.html, "POSIX advisory locks").
 */
export function makePrivateFile(file: string): void {
  try {
    refusePlantedLink(file)
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    const there = statSync(file, { throwIfNoEntry: false }) ?? makeFile(file)
    if (there?.isDirectory() === true) throw Object.assign(new Error('a directory'), { code: 'EISDIR' })
    accessSync(file, constants.R_OK | constants.W_OK)
    // The file may come from elsewhere, such as a restored copy with a wider mode.
    if (there && (there.mode & 0o077) !== 0) chmodSync(file, 0o600)
  } catch (error) {
    throw new Fault('data_dir_unusable', `the store ${file} cannot be used: ${reason(error)}`, {
      cause: error,
    })
  }
}

function makeFile(file: string): undefined {
  try {
    const made = openSync(file, 'wx', 0o600)
    try {
      ownLikeDirectory(made, file)
    } finally {
      closeSync(made)
    }
  } catch (error) {
    // Another process has just made it, and may have locks on it.
    if (!hasCode(error, 'EEXIST')) throw error
  }
}

/**
 * Made from a root shell, it would be out of reach of the service whose directory it is in. By its descriptor: whoever has
 * the directory can put a link under the name meanwhile, and be given what that leads to.
 */
function ownLikeDirectory(made: number, file: string): void {
  if (process.geteuid?.() !== 0) return
  const { uid, gid } = statSync(dirname(file))
  fchownSync(made, uid, gid)
}

function reason(error: unknown): string {
  if (error instanceof PlantedLink) return error.message
  const code = systemCode(error) ?? 'unknown error'
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return 'permission denied; run as the owner of the directory, or choose another with --data-dir'
    case 'ENOSPC':
      return 'the disk is full'
    case 'EROFS':
      return 'the file system is read-only'
    case 'ENOTDIR':
    case 'EEXIST':
      return 'part of its path is a file, not a directory'
    case 'EISDIR':
      return 'it is a directory, not a file'
    default:
      return code
  }
}
