import BetterSqlite3 from 'better-sqlite3'
import { Kysely } from 'kysely'
import { lstat } from 'node:fs/promises'
import { sha256Hex } from '../lib/digest.ts'
import { err, ok, type Result } from '../lib/result.ts'
import { insertRows, readRows } from '../store/copy-rows.ts'
import { migrateWithin } from '../store/migrate.ts'
import { migrations } from '../store/migrations/index.ts'
import type { StoreOptions } from '../store/open.ts'
import type { StoreSchema } from '../store/schema.ts'
import { type Snapshot, withSnapshot } from '../store/snapshot.ts'
import { sqliteDialect } from '../store/sqlite/driver.ts'
import { type StoredTable, tablesAt } from '../store/tables-at.ts'
import { APPLICATION_ID, FORMAT, type Manifest, writeManifest } from './manifest.ts'
import { beginPartial, isThere, notWritten, type PartialFile } from './partial-file.ts'
import type { BackupProblem } from './problem.ts'
import { RowsDigest } from './rows-digest.ts'

export interface BackupOptions {
  readonly store: StoreOptions
  /** Absolute path of the backup. */
  readonly file: string
  /** Replaces a file that is there. */
  readonly force: boolean
  /** The content of the token file, which holds hashes only; `null` without one. */
  readonly tokenFile: string | null
  /** Of this Postern. */
  readonly version: string
  /** Milliseconds since the epoch. */
  readonly now: number
}

export interface WrittenBackup {
  readonly manifest: Manifest
  readonly digest: string
}

/**
 * Copies a store into one file while others work on it: a SQLite database with the same tables, whatever the store is
 * kept in, and a manifest. In bounded memory, and whole or not at all: until it is, it has another name.
 *
 * @throws Fault `store_unavailable`, `store_newer`
 */
export async function writeBackup(options: BackupOptions): Promise<Result<WrittenBackup, BackupProblem>> {
  const { file, force } = options
  if (!force && (await lstat(file).catch(() => undefined))) return err(isThere(file))
  let partial: PartialFile
  try {
    partial = await beginPartial(file)
  } catch (error) {
    return err(notWritten(file, error))
  }
  try {
    const written = await withSnapshot(options.store, (snapshot) => fill(partial.path, snapshot, options))
    await partial.publish(force).catch((error: unknown) => {
      throw new CannotWrite(error)
    })
    return ok(written)
  } catch (error) {
    if (error instanceof CannotWrite) return err(notWritten(file, error.cause))
    throw error
  } finally {
    await partial.discard()
  }
}

/** What went wrong on the side of the backup, not of the store. */
class CannotWrite extends Error {
  constructor(cause: unknown) {
    super('the backup cannot be written', { cause })
  }
}

async function fill(path: string, snapshot: Snapshot, options: BackupOptions): Promise<WrittenBackup> {
  const target = new BackupFile(path)
  try {
    await target.begin(snapshot.version)
    const tables: Manifest['tables'] = []
    for (const table of await tablesAt(snapshot.version)) {
      const seen = new RowsDigest(table)
      for await (const rows of readRows(snapshot.db, table)) {
        seen.add(rows)
        await target.add(table, rows)
      }
      tables.push({ name: table.name, ...seen.end() })
    }
    const { tokenFile } = options
    const manifest: Manifest = {
      format: FORMAT,
      postern: options.version,
      schema_version: snapshot.version,
      created_at: new Date(options.now).toISOString(),
      store: snapshot.kind,
      tables,
      files:
        tokenFile === null
          ? []
          : [{ name: 'token-file', bytes: Buffer.byteLength(tokenFile), digest: sha256Hex(tokenFile) }],
    }
    return { manifest, digest: await target.end(manifest, tokenFile) }
  } finally {
    target.close()
  }
}

/** The database that becomes the backup: one transaction, and no file beside it: a half of it is thrown away anyway. */
class BackupFile {
  readonly #database: BetterSqlite3.Database
  readonly #db: Kysely<StoreSchema>

  constructor(path: string) {
    this.#database = new BetterSqlite3(path)
    this.#db = new Kysely<StoreSchema>({ dialect: sqliteDialect(this.#database, () => {}) })
  }

  async begin(version: number): Promise<void> {
    await this.#write(async () => {
      this.#database.pragma('journal_mode = MEMORY')
      this.#database.pragma('synchronous = OFF')
      this.#database.pragma('foreign_keys = OFF')
      this.#database.pragma(`application_id = ${APPLICATION_ID}`)
      await this.#db.transaction().execute(async (trx) => {
        await migrateWithin(
          trx,
          'sqlite',
          migrations.filter((step) => step.version <= version),
        )
      })
      this.#database.exec(`
        begin;
        create table backup_manifest (text text not null, digest text not null);
        create table backup_files (name text primary key, content text not null);
      `)
      // A new store has a few rows of its own; a copy has those that were copied.
      for (const { name } of (await tablesAt(version)).toReversed()) {
        this.#database.exec(`delete from "${name}"`)
      }
    })
  }

  async add(table: StoredTable, rows: Parameters<typeof insertRows>[2]): Promise<void> {
    await this.#write(() => insertRows(this.#db, table, rows))
  }

  async end(manifest: Manifest, tokenFile: string | null): Promise<string> {
    const { text, digest } = writeManifest(manifest)
    await this.#write(() => {
      if (tokenFile !== null)
        this.#database.prepare('insert into backup_files values (?, ?)').run('token-file', tokenFile)
      this.#database.prepare('insert into backup_manifest values (?, ?)').run(text, digest)
      this.#database.exec('commit')
    })
    return digest
  }

  close(): void {
    this.#database.close()
  }

  async #write(work: () => Promise<void> | void): Promise<void> {
    try {
      await work()
    } catch (error) {
      const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
      throw new CannotWrite(cause)
    }
  }
}
