import { createHash, randomBytes } from 'node:crypto'
import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configurationText, type RunningGateway, startGateway } from '../../support/gateway.ts'
import { type PlainClient, plainSession, restCall } from '../../support/plain-client.ts'
import { ask } from '../../support/postern.ts'
import { soon } from '../../support/soon.ts'
import { type UnrulyHttp, unrulyHttp } from '../../support/unruly-http.ts'
import { UNRULY } from '../../support/upstreams/stdio-upstreams.ts'

const ADMIN = 'the-token-that-administers-the-move'
/** The clients, each with the token that it has had in the configuration for years. */
const OLD = { laptop: 'an-old-token-of-the-laptop', robot: 'an-old-token-of-the-robot' }
type Client = keyof typeof OLD
const CLIENTS = ['laptop', 'robot'] as const satisfies readonly Client[]
const SERVERS = ['tickets', 'files'] as const

let tickets: UnrulyHttp
let gateway: RunningGateway
/** What replaces each: one from a token file, one that Postern issued. */
const fresh: Record<Client, string> = { laptop: randomBytes(24).toString('base64url'), robot: '' }

const configuration = (left: readonly Client[]) => ({
  auth: {
    tokenFile: 'tokens.yaml',
    tokens: {
      root: { value: ADMIN, level: 'admin' },
      ...Object.fromEntries(left.map((name) => [name, { value: OLD[name], level: 'read-write' }])),
    },
  },
  mcpServers: {
    // What a token file in that shape lets in is of level read-only.
    tickets: { url: tickets.url, timeout: '30s', level: 'read-only' },
    files: { command: process.execPath, args: [UNRULY], level: 'read-only' },
  },
})

async function replace(name: string, text: string): Promise<void> {
  const file = join(gateway.dir, name)
  await writeFile(`${file}.new`, text, { mode: 0o600 })
  await rename(`${file}.new`, file)
}

const loads = (): number => gateway.log().filter(({ msg }) => msg === 'Configuration loaded').length

async function leaveOnly(left: readonly Client[]): Promise<void> {
  const before = loads()
  await replace('postern.yaml', configurationText(configuration(left)))
  await soon(loads).toBe(before + 1)
}

/** What each server answers to whoever shows a token. */
async function statuses(token: string): Promise<readonly number[]> {
  const all: number[] = []
  for (const server of SERVERS) all.push((await restCall(gateway.url, token, `${server}__echo`)).status)
  return all
}

beforeAll(async () => {
  tickets = await unrulyHttp('streamable')
  gateway = await startGateway({ admin: ADMIN, configuration: configuration(CLIENTS) })
  fresh.robot = (await gateway.issue({ note: 'robot', owner: 'robot', level: 'read-write' })).token
})
afterAll(async () => {
  await gateway?.close()
  await tickets?.stop()
})

describe('F9 bearer tokens of every kind side by side (OAuth is not shown here)', () => {
  const sessions = new Map<string, PlainClient>()

  it('F9 tokens of the configuration, of a token file and issued ones are let in by the same servers', async () => {
    const hash = createHash('sha256').update(fresh.laptop).digest('hex')
    const entry = { id: 'laptop', hash, note: 'laptop', created_at: '2026-01-01T00:00:00Z', expires_at: null }
    await replace('tokens.yaml', JSON.stringify({ tokens: { [hash]: entry } }))
    await soon(async () => await statuses(fresh.laptop)).toEqual([200, 200])
    for (const name of CLIENTS) {
      expect(await statuses(OLD[name]), `the old one of ${name}`).toEqual([200, 200])
      expect(await statuses(fresh[name]), `the new one of ${name}`).toEqual([200, 200])
    }
    expect(await statuses('a-token-of-nobody-at-all')).toEqual([401, 401])
    for (const name of CLIENTS)
      for (const [age, token] of [
        ['old', OLD[name]],
        ['new', fresh[name]],
      ] as const)
        for (const server of SERVERS)
          sessions.set(`${age} ${name} ${server}`, await plainSession(`${gateway.url}/${server}/mcp`, token))
  })

  it.each<readonly [Client, readonly Client[]]>([
    ['laptop', ['robot']],
    ['robot', []],
  ])(
    'F9 %s moves over: its old token is taken away, its new one and everybody else go on',
    async (gone, left) => {
      const slow = sessions.get(`new ${gone} tickets`)?.call('slow', { ms: 1_500 })
      await leaveOnly(left)
      expect(await statuses(OLD[gone])).toEqual([401, 401])
      for (const server of SERVERS) {
        expect((await sessions.get(`old ${gone} ${server}`)?.call('echo'))?.status).toBe(401)
        expect((await sessions.get(`new ${gone} ${server}`)?.call('echo'))?.code).toBe('ok')
      }
      for (const name of CLIENTS) {
        expect(await statuses(fresh[name])).toEqual([200, 200])
        if (left.includes(name))
          for (const server of SERVERS)
            expect((await sessions.get(`old ${name} ${server}`)?.call('echo'))?.code).toBe('ok')
      }
      // What ran for the new one is none of the old one's.
      expect((await slow)?.text).toBe('slow')
    },
  )

  it('F9 the record tells the two apart, by name and kind', async () => {
    const { body } = await ask(`${gateway.url}/api/v1/admin/audit?target=tickets&limit=1000`, ADMIN)
    const { entries } = body as { entries: { credential_id: string | null }[] }
    const ids = new Set(entries.map(({ credential_id: id }) => id))
    expect(ids).toContain('config:laptop')
    expect(ids).toContain('config:robot')
    expect(ids.size).toBeGreaterThanOrEqual(4)
  })
})
