import BetterSqlite3 from 'better-sqlite3'
import { Fault } from '../../lib/fault.ts'

/** SQLite's word for what went wrong, and what a person can do about it. Extended codes share a prefix. */
const EXPLANATIONS: readonly (readonly [prefix: string, explanation: string])[] = [
  ['SQLITE_FULL', 'the disk is full: make room and try again'],
  ['SQLITE_NOTADB', 'the file is not a SQLite database: point `store` elsewhere or restore a backup'],
  ['SQLITE_CORRUPT', 'the file is damaged: restore a backup'],
  ['SQLITE_READONLY', 'the file or its directory cannot be written: check owner and permissions'],
  ['SQLITE_CANTOPEN', 'the file cannot be opened: check that the directory exists and its permissions'],
  ['SQLITE_PERM', 'the file cannot be used: check its permissions'],
  ['SQLITE_AUTH', 'the file cannot be used: check its permissions'],
  ['SQLITE_IOERR', 'the disk reports an error: check the disk and its free space'],
  ['SQLITE_BUSY', 'another process keeps it locked: try again, or stop that process'],
  ['SQLITE_LOCKED', 'another process keeps it locked: try again, or stop that process'],
  ['SQLITE_NOMEM', 'there is not enough memory'],
  ['SQLITE_PROTOCOL', 'its locks do not work here: network file systems cannot hold a SQLite store'],
]

export function isBusy(error: unknown): boolean {
  return error instanceof BetterSqlite3.SqliteError && error.code.startsWith('SQLITE_BUSY')
}

/** A violated constraint or a wrong statement stays what it is; anything the operator must mend is a Fault. */
export function sqliteFault(error: unknown, file: string): unknown {
  if (!(error instanceof BetterSqlite3.SqliteError)) return error
  const found = EXPLANATIONS.find(([prefix]) => error.code.startsWith(prefix))
  return found
    ? new Fault('store_unavailable', `the store ${file}: ${found[1]}`, { cause: error, retryAfterS: 1 })
    : error
}
