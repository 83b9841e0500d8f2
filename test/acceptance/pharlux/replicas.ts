import { expect } from 'vitest'
import { type OpenStream, openStream } from '../../support/plain-client.ts'
import { ask, type Serving } from '../../support/postern.ts'
import { type TestDatabase, testPostgres } from '../../support/postgres.ts'
import { soon } from '../../support/soon.ts'
import { configuration, observe, type Observer, openRoom, type Room, ROOT, served } from '../pgedge/room.ts'

export const PASSWORD = 'correct horse battery staple'

/** Two real processes on one store, in front of one database, with the same key files. */
export interface Replicas {
  readonly room: Room
  readonly one: Serving
  readonly two: Serving
  readonly both: readonly [Serving, Serving]
  /** Makes a user; answers with the id. */
  add(username: string, ...options: readonly string[]): Promise<string>
  login(username: string, at?: Serving, password?: string): Promise<string>
  /** Opens an event stream of MCP, and has a statement run that takes longer than any test. */
  work(token: string, at: Serving): Promise<Work>
  close(): Promise<void>
}

export interface Work {
  readonly stream: OpenStream
  /** The status of the statement's answer; `null` where there was none. */
  readonly answer: Promise<number | null>
  /** Both go on. */
  goesOn(): Promise<boolean>
  /** Waits until both have ended, the statement in the database, too. */
  hasEnded(): Promise<void>
  /** As its client would: the next test has all connections. */
  stop(): Promise<void>
}

export async function openReplicas(
  kind: 'sqlite' | 'postgres',
  auth: Readonly<Record<string, unknown>> = {},
): Promise<Replicas> {
  const postgres = await testPostgres()
  const shop = await postgres.createDatabase()
  const store = kind === 'postgres' ? await postgres.createDatabase() : undefined
  const outside = await observe(shop)
  const room = await openRoom({
    'postern.yaml': configuration({
      databases: [served('shop', shop, { statementTimeout: '10m' })],
      auth: {
        tokens: { root: { value: ROOT, level: 'admin' } },
        // The cheapest that is let through: what hashes cost is measured elsewhere.
        argon2: { memoryKb: 8_192, timeCost: 1 },
        ...auth,
      },
      ...(store === undefined ? {} : { store: store.url }),
    }),
  })
  try {
    const one = await room.serve()
    const two = await room.serve()
    return describeReplicas(room, outside, [one, two], [shop, store])
  } catch (error) {
    await closeAll(room, outside, [shop, store])
    throw error
  }
}

function describeReplicas(
  room: Room,
  outside: Observer,
  both: readonly [Serving, Serving],
  databases: readonly (TestDatabase | undefined)[],
): Replicas {
  const [one, two] = both
  let statements = 0
  return {
    room,
    one,
    two,
    both,
    async add(username, ...options) {
      const args = ['user', 'add', '--username', username, '--password-stdin', '--json', ...options]
      const { code, stdout, stderr } = await room.run(args, `${PASSWORD}\n`)
      if (code !== 0) throw new Error(stdout + stderr)
      return (JSON.parse(stdout) as { id: string }).id
    },
    async login(username, at = one, password = PASSWORD) {
      const { status, body } = await ask(`${at.url}/api/v1/auth/login`, null, {
        json: { username, password },
      })
      if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`)
      return (body as { token: string }).token
    },
    async work(token, at) {
      const stream = await openStream(`${at.url}/sse`, { authorization: `Bearer ${token}` })
      expect(stream.status).toBe(200)
      const sql = `SELECT pg_sleep(500) /* work ${(statements += 1)} */`
      const client = new AbortController()
      const answer = fetch(`${at.url}/api/v1/query`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: JSON.stringify({ sql }),
        signal: client.signal,
      }).then(
        ({ status }) => status,
        () => null,
      )
      await soon(async () => (await outside.backends(sql)).length).toBe(1)
      const pid = (await outside.backends(sql))[0]?.pid ?? 0
      return {
        stream,
        answer,
        goesOn: async () => stream.isOpen() && (await outside.isThere(pid)),
        async hasEnded() {
          await soon(() => stream.isOpen()).toBe(false)
          await soon(async () => await outside.isThere(pid)).toBe(false)
          expect(await answer).not.toBe(200)
        },
        async stop() {
          stream.close()
          client.abort()
          await answer
        },
      }
    },
    close: () => closeAll(room, outside, databases),
  }
}

async function closeAll(
  room: Room,
  outside: Observer,
  databases: readonly (TestDatabase | undefined)[],
): Promise<void> {
  await room.close()
  await outside.close()
  for (const database of databases) await database?.drop()
}

export const statusOf = async (token: string, { url }: Serving): Promise<number> =>
  (await ask(`${url}/api/v1/auth/me`, token)).status
