import { request } from 'node:http'
import { type Finished, type Answer, ask, type Serving } from './postern.ts'
import { type TestDatabase, testPostgres } from './postgres.ts'
import { configuration, openRoom, type Room } from '../acceptance/pgedge/room.ts'

export const PASSWORD = 'correct horse battery staple'
export const OTHER = 'another horse battery staple'
export const UNKNOWN_ID = '01938a6c-0000-7000-8000-000000000000'

/** The cheapest that is let through: what hashes cost is measured elsewhere. */
export const CHEAP = { memoryKb: 8_192, timeCost: 1 }

export const STORES = ['sqlite', 'postgres'] as const

export interface UserDocument {
  readonly id: string
  readonly username: string
  readonly tenant_id: string
}

/** Gateways in processes of their own on one store, and people who use them. */
export interface PeopleRoom {
  readonly room: Room
  /** The store where it is PostgreSQL. */
  readonly storeDatabase: TestDatabase | undefined
  readonly gateways: readonly [Serving, ...Serving[]]
  /** The first administrator, `alice`. */
  readonly admin: string
  /** `postern user add`, the password on standard input. */
  readonly add: (username: string, ...options: readonly string[]) => Promise<UserDocument>
  readonly run: (args: readonly string[], input?: string) => Promise<Finished>
  readonly login: (
    username: string,
    password?: string,
    more?: Readonly<Record<string, unknown>>,
    gateway?: Serving,
  ) => Promise<Answer>
  readonly tokenOf: (username: string, password?: string, gateway?: Serving) => Promise<string>
  readonly api: (
    path: string,
    token: string | null,
    more?: Parameters<typeof ask>[2],
    gateway?: Serving,
  ) => Promise<Answer>
  /** A tenant with the administrator `<tenant>-admin`, who is signed in. */
  readonly tenant: (id: string) => Promise<{ readonly adminId: string; readonly token: string }>
  readonly close: () => Promise<void>
}

export async function openPeopleRoom(
  store: (typeof STORES)[number],
  parts: Readonly<Record<string, unknown>> = {},
  replicas = 1,
): Promise<PeopleRoom> {
  const storeDatabase = store === 'postgres' ? await (await testPostgres()).createDatabase() : undefined
  const { auth = {}, ...others } = parts as { auth?: Record<string, unknown> }
  const room = await openRoom({
    'postern.yaml': configuration({
      auth: { argon2: CHEAP, ...auth },
      ...(storeDatabase ? { store: storeDatabase.url } : {}),
      ...others,
    }),
  })
  const first = await room.serve()
  const gateways: [Serving, ...Serving[]] = [first]
  while (gateways.length < replicas) gateways.push(await room.serve())

  const add: PeopleRoom['add'] = async (username, ...options) => {
    const said = await room.run(
      ['user', 'add', '--username', username, '--password-stdin', '--json', ...options],
      `${PASSWORD}\n`,
    )
    if (said.code !== 0) throw new Error(said.stdout + said.stderr)
    return JSON.parse(said.stdout) as UserDocument
  }
  const api: PeopleRoom['api'] = (path, token, more = {}, { url } = first) =>
    ask(`${url}/api/v1${path}`, token, more)
  const login: PeopleRoom['login'] = (username, password = PASSWORD, more = {}, gateway = first) =>
    api('/auth/login', null, { json: { username, password, ...more } }, gateway)
  const tokenOf: PeopleRoom['tokenOf'] = async (username, password = PASSWORD, gateway = first) => {
    const { status, body } = await login(username, password, {}, gateway)
    if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`)
    return (body as { token: string }).token
  }
  await add('alice', '--admin')
  const admin = await tokenOf('alice')
  return {
    room,
    storeDatabase,
    gateways,
    admin,
    add,
    run: (args, input) => room.run(args, input),
    login,
    tokenOf,
    api,
    async tenant(id) {
      const username = `${id}-admin`
      const made = await api('/admin/tenants', admin, {
        json: { tenant_id: id, username, password: PASSWORD },
      })
      if (made.status !== 201) throw new Error(`${made.status} ${JSON.stringify(made.body)}`)
      const { user_id: adminId } = made.body as { user_id: string }
      return { adminId, token: await tokenOf(username) }
    },
    async close() {
      await room.close()
      await storeDatabase?.drop()
    },
  }
}

export interface RawAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: unknown
}

/**
 * A sign-in from an address of one's choice: all of 127.0.0.0/8 is this machine. Bodies are sent as they are, and text
 * may be no JSON at all.
 */
export async function loginFrom(
  address: string,
  url: string,
  body: object | string,
  headers: Readonly<Record<string, string>> = {},
): Promise<RawAnswer> {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return await new Promise((resolve, reject) => {
    const sent = request(
      `${url}/api/v1/auth/login`,
      {
        method: 'POST',
        localAddress: address,
        agent: false,
        headers: {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(text),
          ...headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('end', () => {
          const answer = Buffer.concat(chunks).toString()
          let parsed: unknown = answer
          try {
            parsed = JSON.parse(answer)
          } catch {
            // Left as text.
          }
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: parsed })
        })
      },
    )
    sent.on('error', reject)
    sent.end(text)
  })
}

/**
 * Tries until a limit says no, and answers how often that took; a slow machine may let the first short waits pass.
 * `leastWaitS`: goes on until the wait is that long, so that it still holds while something else is tried.
 */
export async function untilLimited(tryOnce: () => Promise<RawAnswer>, leastWaitS = 1): Promise<number> {
  let wrong = 0
  for (let waitS = 0; waitS < leastWaitS;) {
    const { status, headers } = await tryOnce()
    if (status === 401) wrong += 1
    else if (status === 429) waitS = Number(headers['retry-after'])
    else throw new Error(`an answer that is neither 401 nor 429: ${status}`)
    if (wrong > 20) throw new Error('nothing limits this')
  }
  return wrong
}

/** Actions and outcomes of the record, newest first: `user.add done`. */
export async function recorded({
  api,
  admin,
}: Pick<PeopleRoom, 'api' | 'admin'>): Promise<readonly string[]> {
  const { body } = await api('/admin/audit?limit=1000', admin)
  return (body as { entries: { tool?: string; outcome: string }[] }).entries.map(
    ({ tool, outcome }) => `${tool} ${outcome}`,
  )
}
