import { type Kysely, sql, type Transaction } from 'kysely'
import type { AuditEvent } from '../audit/entry.ts'
import { linkEntries } from '../audit/chain.ts'
import { entryText } from '../audit/entry-text.ts'
import { type AuditVerification, verifyAudit } from '../audit/verify.ts'
import { err, ok, type Result } from '../lib/result.ts'
import { insertAuditRows, reserveAuditSeqs } from '../store/audit-rows.ts'
import { readRevisions } from '../store/changes.ts'
import { insertRows } from '../store/copy-rows.ts'
import { LATEST_VERSION, migrateWithin, newerStore } from '../store/migrate.ts'
import { migrations } from '../store/migrations/index.ts'
import type { StoreOptions } from '../store/open.ts'
import { RESTORED_TOPIC } from '../store/postgres/in-use.ts'
import { type Replacement, replaceStore } from '../store/replace.ts'
import type { StoreSchema } from '../store/schema.ts'
import { type StoredTable, tablesAt } from '../store/tables-at.ts'
import {
  keepRevocations,
  type KeptRevocations,
  type Revisions,
  setRevocationsAside,
} from './kept-revocations.ts'
import type { Manifest } from './manifest.ts'
import { type BackupProblem, backupProblem } from './problem.ts'
import { BackupDamaged, damagedBackup, openBackup, type OpenBackup } from './read-backup.ts'

export interface RestoreOptions {
  /** Absolute path of the backup. */
  readonly file: string
  readonly store: StoreOptions
  /** Throws for what is no token file: a file that comes back must be one that a gateway starts with. */
  readonly checkTokenFile: (text: string) => void
  /** Replaces a store that holds something. */
  readonly force: boolean
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Who did it, for the record. */
  readonly principal: string
}

export interface Restored {
  readonly manifest: Manifest
  /** What came back and is valid now. */
  readonly tokens: number
  readonly users: number
  /** Credentials of principals for MCP servers: of no use without the key file that they were sealed with. */
  readonly sealed: number
  /** What the store before had ended, and is ended now as well. */
  readonly kept: KeptRevocations
  readonly audit: AuditVerification
  /** Of the backup; `null` when it holds none. */
  readonly tokenFile: string | null
}

/**
 * Makes a store what a backup holds, in one transaction: killed at any moment it leaves the one or the other, whole. Older
 * schemas are brought up to date. Every JWT issued before ends, whatever the backup knows of it.
 *
 * @throws Fault `store_unavailable`, `store_newer`, `data_dir_unusable`
 */
export async function restoreBackup(options: RestoreOptions): Promise<Result<Restored, BackupProblem>> {
  const opened = await openBackup(options.file)
  if (!opened.ok) return opened
  const backup = opened.value
  try {
    // Before the store is touched: it is small, and half of what a restore brings back.
    const tokenFile = backup.tokenFile()
    if (tokenFile !== null && !isFit(tokenFile, options)) return err(damagedBackup(options.file))
    const replaced = await replaceStore(options.store, async (replacement) => ({
      ...(await replace(replacement, backup, options)),
      tokenFile,
    }))
    return replaced.ok ? ok(replaced.value) : err(inUse)
  } catch (error) {
    if (error instanceof BackupDamaged) return err(damagedBackup(options.file))
    if (error instanceof NotEmpty) return err(notEmpty)
    throw error
  } finally {
    backup.close()
  }
}

function isFit(tokenFile: string, { checkTokenFile }: RestoreOptions): boolean {
  try {
    checkTokenFile(tokenFile)
    return true
  } catch {
    return false
  }
}

/** Ends the transaction. */
class NotEmpty extends Error {}

const inUse = backupProblem(
  'store_in_use',
  'the store is in use: stop Postern (systemctl stop postern), and every replica that shares it, and restore again; ' +
    'nothing was changed',
)

const notEmpty = backupProblem(
  'store_not_empty',
  'the store holds something already: --force replaces it, and what happened since the backup is lost with it; take a ' +
    'backup of it first (postern backup); nothing was changed',
)

async function replace(
  { trx, kind, version }: Replacement,
  backup: OpenBackup,
  { force, now, principal }: RestoreOptions,
): Promise<Omit<Restored, 'tokenFile'>> {
  const { manifest, tables } = backup
  if (version > LATEST_VERSION) throw newerStore(version)
  const before = version === 0 ? [] : await tablesAt(version)
  if (!force && (await holdsSomething(trx, before))) throw new NotEmpty()
  const revisionsBefore = version === 0 ? [] : await readRevisions(trx)
  await setRevocationsAside(trx, before)

  await dropTables(trx, before, version)
  await migrateWithin(
    trx,
    kind,
    migrations.filter((step) => step.version <= manifest.schema_version),
  )
  for (const { name } of tables.toReversed()) await sql`delete from ${sql.table(name)}`.execute(trx)
  for (const table of tables) {
    for (const rows of backup.rows(table)) await insertRows(trx, table, rows)
  }
  await migrateWithin(trx, kind)

  const revisions = await raiseRevisions(trx, revisionsBefore)
  const kept = await keepRevocations(trx, revisions)
  await endJwts(trx, now, revisions.users)
  await appendEntry(trx, {
    kind: 'administration',
    outcome: 'done',
    at: now,
    principal,
    wire: 'cli',
    action: 'store.restore',
    target: manifest.created_at,
  })
  return { manifest, kept, ...(await countValid(trx, now)), audit: await verifyAudit(trx) }
}

/** Anything beyond what a store has from the beginning, the marks of the change feed apart. */
async function holdsSomething(
  trx: Transaction<StoreSchema>,
  tables: readonly StoredTable[],
): Promise<boolean> {
  for (const { name, rowsAtFirst } of tables) {
    if (name === 'changes') continue
    const { rows } = await sql<{ count: number }>`select count(*) as count
      from (select 1 from ${sql.table(name)} limit ${sql.lit(rowsAtFirst + 1)}) as few`.execute(trx)
    if (Number(rows[0]?.count) > rowsAtFirst) return true
  }
  return false
}

async function dropTables(
  trx: Transaction<StoreSchema>,
  tables: readonly StoredTable[],
  version: number,
): Promise<void> {
  for (const { name } of tables.toReversed()) await sql`drop table ${sql.table(name)}`.execute(trx)
  if (version > 0) await sql`drop table schema_migrations`.execute(trx)
}

/**
 * Beyond those of both stores: a process that had the one before open, unnoticed, then hears of changes again, and of the
 * restore first of all.
 */
async function raiseRevisions(
  trx: Transaction<StoreSchema>,
  before: readonly { readonly topic: string; readonly revision: number }[],
): Promise<Revisions> {
  const highest = new Map<string, number>([[RESTORED_TOPIC, 0]])
  for (const { topic, revision } of [...before, ...(await readRevisions(trx))]) {
    highest.set(topic, Math.max(highest.get(topic) ?? 0, revision))
  }
  for (const [topic, seen] of highest) {
    const revision = seen + 1
    await trx
      .insertInto('changes')
      .values({ topic, revision })
      .onConflict((conflict) => conflict.column('topic').doUpdateSet({ revision }))
      .execute()
  }
  const raised = (topic: string): number => (highest.get(topic) ?? 0) + 1
  return {
    tokens: raised('tokens'),
    users: raised('users'),
    tenants: raised('tenants'),
    upstreamCredentials: raised('upstream_credentials'),
  }
}

/**
 * An epoch that nobody has had. One more than in the backup may be that of a JWT which was issued after it; epochs rise by
 * one with a change, so the milliseconds since 1970 are far beyond all of them, and beyond those of an earlier restore.
 */
async function endJwts(trx: Transaction<StoreSchema>, now: number, revision: number): Promise<void> {
  await trx
    .updateTable('users')
    .set((eb) => ({ epoch: eb('epoch', '+', 1), revision }))
    .where('epoch', '>=', now)
    .execute()
  await trx.updateTable('users').set({ epoch: now, revision }).where('epoch', '<', now).execute()
}

async function appendEntry(trx: Transaction<StoreSchema>, event: AuditEvent): Promise<void> {
  const head = await reserveAuditSeqs(trx, 1)
  await insertAuditRows(trx, linkEntries([{ at: event.at, entry: entryText(event) }], head))
}

async function countValid(
  db: Kysely<StoreSchema>,
  now: number,
): Promise<{ readonly tokens: number; readonly users: number; readonly sealed: number }> {
  const { rows } = await sql<{ tokens: number; users: number; sealed: number }>`select
    (select count(*) from tokens where revoked_at is null and (expires_at is null or expires_at > ${now})) as tokens,
    (select count(*) from users where deleted_at is null and disabled_at is null) as users,
    (select count(*) from upstream_credentials where sealed is not null) as sealed`.execute(db)
  const [{ tokens, users, sealed } = { tokens: 0, users: 0, sealed: 0 }] = rows
  return { tokens, users, sealed }
}
