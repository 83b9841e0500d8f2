import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { startDemoDatabase } from '../../src/databases/embedded/demo.ts'

export interface BenchSample {
  /** As a role that may read all rows, for Postern and for those that it is compared with. */
  readonly url: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password: string
  close(): Promise<void>
}

/** The sample data in a server of its own. The demo's roles are for tenants; a comparison needs one that all can use. */
export async function startSample(dataDir: string): Promise<BenchSample> {
  const demo = await startDemoDatabase({ dataDir, observe: () => undefined })
  const [database] = demo.databases
  const owner = database?.tenancy?.provisioner
  if (!database || !owner) throw new Error('no sample database')
  const { host, port, database: name } = database
  const client = new Client({
    host,
    port,
    database: name,
    user: owner.user,
    password: owner.password?.reveal(),
  })
  await client.connect()
  const password = randomBytes(24).toString('base64url')
  await client.query(`CREATE ROLE bench_reader LOGIN PASSWORD '${password}'`)
  await client.query('GRANT SELECT ON ALL TABLES IN SCHEMA public TO bench_reader')
  await client.end()
  return {
    port,
    database: name,
    user: 'bench_reader',
    password,
    url: `postgres://bench_reader:${password}@${host}:${port}/${name}?sslmode=disable`,
    close: () => demo.close(),
  }
}
