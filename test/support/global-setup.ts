import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import type { TestProject } from 'vitest/node'
import { loadSample } from '../../src/databases/embedded/sample/load.ts'
import { type EmbeddedServer, startEmbeddedServer } from '../../src/databases/embedded/server.ts'
import type { SharedServer } from './postgres.ts'

/**
 * Hands out the PostgreSQL that all test files share. It starts when the first file asks, so that runs
 * without a database pay nothing, and ends with the run.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  let started: Promise<{ server: EmbeddedServer; dir: string; answer: SharedServer }> | undefined
  let filled: Promise<void> | undefined
  const control = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.once('data', (wish) => {
      started ??= start()
      started
        .then(async ({ answer }) => {
          if (wish.toString() === 'sample') await (filled ??= fillSample(answer))
          socket.end(JSON.stringify(answer))
        })
        .catch((fault: unknown) => socket.end(JSON.stringify({ fault: String(fault) })))
    })
  })
  await new Promise<void>((done) => {
    control.listen(0, '127.0.0.1', done)
  })
  project.provide('postgresControl', (control.address() as AddressInfo).port)
  return async () => {
    control.close()
    const running = await started?.catch(() => undefined)
    if (!running) return
    await running.server.close()
    await rm(running.dir, { recursive: true, force: true })
  }
}

async function start(): Promise<{ server: EmbeddedServer; dir: string; answer: SharedServer }> {
  const dir = await mkdtemp(join(tmpdir(), 'postern-test-'))
  const server = await startEmbeddedServer({
    dir: join(dir, 'postgres'),
    durable: false,
    settings: { max_connections: '300', shared_buffers: '128MB', autovacuum: 'off' },
  })
  const superuser = { user: server.superuser.user, password: server.superuser.password.reveal() }
  const answer: SharedServer = {
    host: server.host,
    port: server.port,
    roles: {
      superuser,
      reader: { user: 'postern_reader', password: 'reader' },
      writer: { user: 'postern_writer', password: 'writer' },
    },
  }
  await connected(answer, 'postgres', async (client) => {
    await client.query(`CREATE ROLE postern_reader LOGIN PASSWORD 'reader'`)
    await client.query(`CREATE ROLE postern_writer LOGIN PASSWORD 'writer'`)
  })
  await makeTemplate(answer, 'empty_template')
  return { server, dir, answer }
}

/** Two seconds or so, for runs that want the sample only. */
async function fillSample(answer: SharedServer): Promise<void> {
  await makeTemplate(answer, 'sample_template', async (client) => {
    await loadSample(client)
    await client.query(`
        GRANT SELECT ON ALL TABLES IN SCHEMA public TO postern_reader;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO postern_writer;
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO postern_writer;
    `)
  })
}

async function makeTemplate(
  answer: SharedServer,
  template: string,
  fill?: (client: Client) => Promise<void>,
): Promise<void> {
  await connected(answer, 'postgres', (client) => client.query(`CREATE DATABASE ${template}`))
  await connected(answer, template, async (client) => {
    await client.query(`
        ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO postern_reader;
        ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO postern_writer;
        ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO postern_writer;
    `)
    await fill?.(client)
  })
  // A template with somebody connected cannot be copied.
  await connected(answer, 'postgres', (client) =>
    client.query(`ALTER DATABASE ${template} ALLOW_CONNECTIONS false`),
  )
}

async function connected(
  { host, port, roles }: SharedServer,
  database: string,
  task: (client: Client) => Promise<unknown>,
): Promise<void> {
  const client = new Client({ host, port, database, ...roles.superuser })
  await client.connect()
  try {
    await task(client)
  } finally {
    await client.end()
  }
}
