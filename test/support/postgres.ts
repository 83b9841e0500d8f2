import { randomBytes } from 'node:crypto'
import { createConnection, type Socket } from 'node:net'
import { Client } from 'pg'
import { inject } from 'vitest'

declare module 'vitest' {
  interface ProvidedContext {
    /** Port on 127.0.0.1 where global-setup.ts hands out the shared server, starting it for the first who asks. */
    postgresControl: number
  }
}

/** What global-setup.ts answers: where the server is and who may enter. */
export interface SharedServer {
  readonly host: string
  readonly port: number
  readonly roles: Readonly<Record<TestRole, { readonly user: string; readonly password: string }>>
}

/** `reader` may only SELECT; `writer` may change rows; neither owns anything nor is a superuser. */
export type TestRole = 'superuser' | 'reader' | 'writer'

export interface TestDatabase {
  readonly name: string
  /** As the superuser. */
  readonly url: string
  readonly readerUrl: string
  readonly writerUrl: string
  /** Ends its connections and removes it. */
  drop(): Promise<void>
}

export interface TestPostgres {
  readonly host: string
  readonly port: number
  readonly superuser: { readonly user: string; readonly password: string }
  readonly reader: { readonly user: string; readonly password: string }
  readonly writer: { readonly user: string; readonly password: string }
  url(database?: string, role?: TestRole): string
  /** A database of its own for one test file; `sample` fills it with the sample data (tens of milliseconds). */
  createDatabase(name?: string, options?: { sample?: boolean }): Promise<TestDatabase>
}

let shared: Promise<SharedServer> | undefined
let sample: Promise<SharedServer> | undefined

/** The one real PostgreSQL of this test run. */
export async function testPostgres(): Promise<TestPostgres> {
  const server = await (shared ??= ask('server'))
  const url = (database = 'postgres', role: TestRole = 'superuser'): string => {
    const { user, password } = server.roles[role]
    return `postgres://${user}:${encodeURIComponent(password)}@${server.host}:${server.port}/${database}`
  }
  const createDatabase = async (
    name = `t_${randomBytes(6).toString('hex')}`,
    options: { sample?: boolean } = {},
  ): Promise<TestDatabase> => {
    if (options.sample === true) await (sample ??= ask('sample'))
    const template = options.sample === true ? 'sample_template' : 'empty_template'
    await asSuperuser(url(), (client) =>
      client.query(
        `CREATE DATABASE ${client.escapeIdentifier(name)} TEMPLATE ${template} STRATEGY FILE_COPY`,
      ),
    )
    return {
      name,
      url: url(name),
      readerUrl: url(name, 'reader'),
      writerUrl: url(name, 'writer'),
      drop: () =>
        asSuperuser(url(), async (client) => {
          await client.query(`DROP DATABASE IF EXISTS ${client.escapeIdentifier(name)} WITH (FORCE)`)
        }),
    }
  }
  return { host: server.host, port: server.port, ...server.roles, url, createDatabase }
}

async function asSuperuser<T>(url: string, task: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return await task(client)
  } finally {
    await client.end()
  }
}

function ask(wish: 'server' | 'sample'): Promise<SharedServer> {
  return new Promise((done, failed) => {
    let text = ''
    createConnection({ host: '127.0.0.1', port: inject('postgresControl') }, function (this: Socket) {
      this.write(wish)
    })
      .setEncoding('utf8')
      .on('data', (chunk) => (text += chunk))
      .on('error', failed)
      .on('end', () => {
        const answer = JSON.parse(text) as SharedServer | { fault: string }
        if ('fault' in answer) failed(new Error(answer.fault))
        else done(answer)
      })
  })
}
