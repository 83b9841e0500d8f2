import { type Client, escapeIdentifier } from 'pg'
import {
  DEFINERS_SQL,
  notesSql,
  recordedSql,
  RELATIONS_SQL,
  ROLES_SQL,
  SCHEMAS_SQL,
  SERVER_SQL,
} from './facts-queries.ts'
import type {
  DefinerFacts,
  ProtectionFacts,
  ProtectionNote,
  RelationFacts,
  RoleFacts,
  SchemaFacts,
} from './protection-facts.ts'

interface Wanted {
  readonly prefix: string
  /** Names of columns that may hold the tenant. */
  readonly columns: readonly string[]
  /** Names of roles that there should be. */
  readonly roles: readonly string[]
}

interface ServerRow {
  readonly version: number
  readonly database: string
  readonly schemaThere: boolean
  readonly schemaOurs: boolean
  readonly connect: readonly string[]
}

type NoteRow = ProtectionNote & { readonly oid: string; readonly there: boolean }

/**
 * Reads what a plan needs to know, in one snapshot.
 *
 * @param client connected as a role that may see our own tables where they exist already (their owner, a superuser);
 *   not in a transaction
 */
export async function readProtectionFacts(client: Client, wanted: Wanted): Promise<ProtectionFacts> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  try {
    return await readFactsHere(client, wanted)
  } finally {
    await client.query('ROLLBACK')
  }
}

/** The same within a transaction, whose `search_path` is that of PostgreSQL alone from then on. */
export async function readFactsHere(client: Client, wanted: Wanted): Promise<ProtectionFacts> {
  const ask = async <Row extends object>(sql: string, ...params: readonly unknown[]): Promise<Row[]> =>
    (await client.query<Row>(sql, [...params])).rows
  await client.query('SET LOCAL search_path TO pg_catalog, pg_temp')
  const { prefix } = wanted
  const schema = escapeIdentifier(prefix)
  const [server] = await ask<ServerRow>(SERVER_SQL, prefix)
  if (server === undefined) throw new TypeError('a query without FROM has one row')
  const ours = server.schemaOurs
  const notes = ours ? await ask<NoteRow>(notesSql(schema)) : []
  const columns = new Set([...wanted.columns, ...notes.flatMap(({ column }) => column ?? [])])
  const noteOf = new Map(
    notes.map(({ oid, kind, column, rowSecurity, forced, invoker }) => [
      oid,
      { kind, column, rowSecurity, forced, invoker },
    ]),
  )
  const relations = await ask<RelationFacts>(RELATIONS_SQL, prefix, [...columns])
  return {
    version: server.version,
    database: server.database,
    ownSchema: ours ? 'ours' : server.schemaThere ? 'foreign' : 'absent',
    relations: relations.map((relation) => ({ ...relation, note: noteOf.get(relation.oid) ?? null })),
    schemas: await ask<SchemaFacts>(SCHEMAS_SQL, prefix),
    connect: server.connect,
    roles: await ask<RoleFacts>(ROLES_SQL, prefix, wanted.roles),
    definers: await ask<DefinerFacts>(DEFINERS_SQL, prefix),
    recorded: ours ? (await ask<{ name: string }>(recordedSql(schema))).map(({ name }) => name) : [],
    vanished: notes.filter(({ there }) => !there).length,
  }
}
