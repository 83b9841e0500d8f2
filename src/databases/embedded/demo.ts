import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { Client } from 'pg'
import { Secret } from '../../lib/secret.ts'
import type { Observe } from '../../observe/observation.ts'
import type { DatabaseOptions } from '../options.ts'
import { DEMO_DATABASE as SAMPLE } from './demo-name.ts'
import { loadSample, SAMPLE_VERSION } from './sample/load.ts'
import { SAMPLE_PREFIX } from './sample/protection.ts'
import { type EmbeddedServer, startEmbeddedServer } from './server.ts'

export interface DemoOptions {
  /** Absolute path of the data directory; the database lives in `embedded/` below it. */
  readonly dataDir: string
  readonly observe: Observe
}

/** Where a database is and who opens it; the limits that `DatabaseOptions` adds are the operator's. */
export type DatabaseAddress = Pick<
  DatabaseOptions,
  | 'name'
  | 'host'
  | 'port'
  | 'database'
  | 'user'
  | 'password'
  | 'sslmode'
  | 'writer'
  | 'tenancy'
  | 'allowSuperuser'
>

export interface DemoDatabase {
  readonly databases: readonly DatabaseAddress[]
  close(): Promise<void>
}

/**
 * The database of `serve --demo`: a PostgreSQL of Postern's own with sample data. The first start takes
 * some seconds, every other about a tenth of one; changes to the data are kept.
 *
 * @throws Fault `database_unavailable` when the server cannot be had here, `data_dir_unusable` when its
 *   directory cannot be used
 */
export async function startDemoDatabase(options: DemoOptions): Promise<DemoDatabase> {
  const startedAt = performance.now()
  const server = await startEmbeddedServer({ dir: join(options.dataDir, 'embedded') })
  try {
    const password = newPassword()
    const created = await withClient(server, 'postgres', async (client) => {
      await prepareRole(client, password)
      return prepareDatabase(server, client)
    })
    options.observe({
      kind: 'database.embedded',
      port: server.port,
      created,
      startupMs: performance.now() - startedAt,
    })
    let closing = false
    void server.exited.then(() => {
      if (closing) return
      const message = 'the embedded PostgreSQL ended by itself: restart Postern to have it again'
      options.observe({ kind: 'database.down', database: SAMPLE, message })
    })
    return {
      databases: [
        {
          name: SAMPLE,
          host: server.host,
          port: server.port,
          database: SAMPLE,
          user: CATALOGUE_ROLE,
          password: new Secret(password),
          // The server listens on the loopback address of this machine only.
          sslmode: 'disable',
          writer: null,
          // The server is Postern's own: roles of tenants are made when they are first needed.
          tenancy: { rolePrefix: SAMPLE_PREFIX, provisioner: server.superuser },
          allowSuperuser: false,
        },
      ],
      close: () => {
        closing = true
        return server.close()
      },
    }
  } catch (error) {
    await server.close()
    throw error
  }
}

const newPassword = (): string => randomBytes(24).toString('base64url')

/** What Postern itself reads the catalogue as. It may read no rows: callers have the roles of their tenants. */
const CATALOGUE_ROLE = 'postern_catalogue'

/** The password is new at every start: nothing has to keep it. */
async function prepareRole(client: Client, password: string): Promise<void> {
  const { rowCount } = await client.query('SELECT FROM pg_roles WHERE rolname = $1', [CATALOGUE_ROLE])
  await client.query(
    `${rowCount === 0 ? 'CREATE' : 'ALTER'} ROLE ${CATALOGUE_ROLE} WITH LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD '${password}'`,
  )
}

/** Filled under another name and renamed when complete, so that an interrupted start leaves nothing half-filled. */
async function prepareDatabase(server: EmbeddedServer, client: Client): Promise<boolean> {
  const { rows } = await client.query<{ version: string | null }>(
    `SELECT shobj_description(oid, 'pg_database') AS version FROM pg_database WHERE datname = $1`,
    [SAMPLE],
  )
  const version = `Sample data of Postern, version ${SAMPLE_VERSION}`
  if (rows[0]?.version === version) return false
  const unfinished = `${SAMPLE}_unfinished`
  await client.query(`DROP DATABASE IF EXISTS ${unfinished} WITH (FORCE)`)
  await client.query(`CREATE DATABASE ${unfinished}`)
  await withClient(server, unfinished, loadSample)
  await client.query(`REVOKE TEMPORARY ON DATABASE ${unfinished} FROM PUBLIC`)
  await client.query('REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC')
  await client.query(`COMMENT ON DATABASE ${unfinished} IS '${version}'`)
  // Another version's data is kept, should somebody have put work into it.
  if (rows.length > 0) await client.query(`ALTER DATABASE ${SAMPLE} RENAME TO ${SAMPLE}_until_${Date.now()}`)
  await client.query(`ALTER DATABASE ${unfinished} RENAME TO ${SAMPLE}`)
  return true
}

async function withClient<T>(
  server: EmbeddedServer,
  database: string,
  task: (client: Client) => Promise<T>,
): Promise<T> {
  const client = new Client({
    host: server.host,
    port: server.port,
    database,
    user: server.superuser.user,
    password: server.superuser.password.reveal(),
  })
  await client.connect()
  try {
    return await task(client)
  } finally {
    await client.end()
  }
}
