import BetterSqlite3 from 'better-sqlite3'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { sha256Hex } from '../lib/digest.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { RowValues } from '../store/copy-rows.ts'
import { LATEST_VERSION } from '../store/migrate.ts'
import { type StoredTable, tablesAt } from '../store/tables-at.ts'
import { APPLICATION_ID, type Manifest, readManifest } from './manifest.ts'
import { type BackupProblem, backupProblem } from './problem.ts'
import { RowsDigest } from './rows-digest.ts'

/** A backup that is open, and whose manifest has been checked. Its rows are checked as they are read. */
export interface OpenBackup {
  readonly manifest: Manifest
  readonly digest: string
  /** The tables it holds, in an order in which they can be filled. */
  readonly tables: readonly StoredTable[]
  /** @throws BackupDamaged when they are not what was written, at the latest after the last one */
  rows(table: StoredTable): Generator<readonly RowValues[]>
  /** @throws BackupDamaged */
  tokenFile(): string | null
  close(): void
}

/** What was read is not what was written. */
export class BackupDamaged extends Error {}

const PAGE_ROWS = 500

/** Many rows, or a few long ones. Bytes, some of them guessed: text has at least one for a character. */
const PAGE_BYTES = 8 * 1_024 * 1_024

/** No value that Postern keeps comes near; of a crafted file, one could be a gigabyte. */
const LONGEST_VALUE_BYTES = 16 * 1_024 * 1_024

const unusable = (file: string, why: string): BackupProblem =>
  backupProblem('backup_unusable', `${file} ${why}; nothing was changed`)

export const damagedBackup = (file: string): BackupProblem =>
  unusable(file, 'is damaged: what it holds is not what was written')

export async function openBackup(file: string): Promise<Result<OpenBackup, BackupProblem>> {
  try {
    await access(file, constants.R_OK)
  } catch {
    return err(unusable(file, 'is not there, or may not be read'))
  }
  let database: BetterSqlite3.Database | undefined
  try {
    database = new BetterSqlite3(file, { readonly: true, fileMustExist: true })
    // Of a file that may come from anywhere: no view and no trigger of it may call anything.
    database.pragma('trusted_schema = OFF')
    const opened = await openChecked(file, database)
    if (!opened.ok) database.close()
    return opened
  } catch (error) {
    database?.close()
    if (error instanceof BackupDamaged) return err(damagedBackup(file))
    if (!(error instanceof BetterSqlite3.SqliteError)) throw error
    const isForeign = error.code === 'SQLITE_NOTADB'
    return err(isForeign ? unusable(file, 'is no backup of Postern') : damagedBackup(file))
  }
}

async function openChecked(
  file: string,
  database: BetterSqlite3.Database,
): Promise<Result<OpenBackup, BackupProblem>> {
  if (database.pragma('application_id', { simple: true }) !== APPLICATION_ID)
    return err(unusable(file, 'is no backup of Postern'))
  if (!isPlain(database)) return err(damagedBackup(file))
  const kept = database
    .prepare(`select text, digest from backup_manifest where octet_length(text) <= ${LONGEST_VALUE_BYTES}`)
    .get() as { readonly text: string; readonly digest: string } | undefined
  const manifest = kept && readManifest(kept.text, kept.digest)
  if (!kept || manifest === undefined) return err(damagedBackup(file))
  if (manifest === 'newer' || manifest.schema_version > LATEST_VERSION)
    return err(unusable(file, 'was made by a newer Postern: restore it with that one'))
  const tables = await tablesAt(manifest.schema_version)
  const listed = manifest.tables.map(({ name }) => name)
  if (tables.some(({ name }) => !listed.includes(name))) return err(damagedBackup(file))
  return ok({
    manifest,
    digest: kept.digest,
    tables,
    rows: (table) => checkedRows(database, table, manifest),
    tokenFile: () => checkedTokenFile(database, manifest),
    close: () => {
      database.close()
    },
  })
}

/**
 * Tables alone, as Postern makes them. Reading a view, a virtual table or a derived column is running what somebody else
 * wrote, which need not ever end; and a file that is restored may come from anywhere.
 */
function isPlain(database: BetterSqlite3.Database): boolean {
  const odd = database
    .prepare<[], number>(
      `select (select count(*) from sqlite_master where type not in ('table', 'index'))
        + (select count(*) from pragma_table_list where schema = 'main' and type <> 'table')`,
    )
    .pluck()
    .get()
  return odd === 0
}

/** The columns as they are stored: none of them is derived from others. */
function areStored(database: BetterSqlite3.Database, { name, columns }: StoredTable): boolean {
  const stored = database
    .prepare<[string], string>('select name from pragma_table_xinfo(?) where hidden = 0')
    .pluck()
    .all(name)
  return columns.every((column) => stored.includes(column))
}

const bytesOf = (row: RowValues): number =>
  row.reduce<number>(
    (sum, value) => sum + (typeof value === 'string' || value instanceof Uint8Array ? value.length : 8),
    0,
  )

function* checkedRows(
  database: BetterSqlite3.Database,
  table: StoredTable,
  manifest: Manifest,
): Generator<readonly RowValues[]> {
  const { name, columns } = table
  const expected = manifest.tables.find((one) => one.name === name)
  if (!expected || !reading(() => areStored(database, table))) throw new BackupDamaged()
  const seen = new RowsDigest(table)
  // A row that is too long is left out, and missed when rows are counted.
  const short = columns.map((column) => `ifnull(octet_length("${column}"), 0) <= ${LONGEST_VALUE_BYTES}`)
  const rows = reading(() =>
    database
      .prepare<[], RowValues>(
        `select "${columns.join('", "')}" from "${name}" where ${short.join(' and ')} order by rowid`,
      )
      .raw()
      .iterate(),
  )
  let page: RowValues[] = []
  let pageBytes = 0
  let read = 0
  try {
    for (;;) {
      const { value, done } = reading(() => rows.next())
      if (done !== true) {
        page.push(value)
        pageBytes += bytesOf(value)
        read += 1
        if (read > expected.rows) throw new BackupDamaged()
      }
      const isFull = page.length === PAGE_ROWS || pageBytes >= PAGE_BYTES
      if (isFull || (done === true && page.length > 0)) {
        seen.add(page)
        yield page
        page = []
        pageBytes = 0
      }
      if (done === true) break
    }
  } finally {
    // A statement that is half read keeps the database open.
    rows.return?.()
  }
  const { rows: count, digest } = seen.end()
  if (count !== expected.rows || digest !== expected.digest) throw new BackupDamaged()
}

function checkedTokenFile(database: BetterSqlite3.Database, { files }: Manifest): string | null {
  const expected = files.find(({ name }) => name === 'token-file')
  if (!expected) return null
  const content = reading(() =>
    database
      .prepare<[], string>(
        `select content from backup_files
          where name = 'token-file' and octet_length(content) <= ${LONGEST_VALUE_BYTES}`,
      )
      .pluck()
      .get(),
  )
  if (typeof content !== 'string' || sha256Hex(content) !== expected.digest) throw new BackupDamaged()
  return content
}

function reading<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    throw error instanceof BetterSqlite3.SqliteError ? new BackupDamaged() : error
  }
}
