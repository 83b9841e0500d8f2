import { readFile, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ask, rpc, type Serving } from '../../support/postern.ts'
import { configuration, hashOf, type IssuedDocument, openRoom, ROOT, type Room, soon } from './room.ts'

let room: Room
let gateway: Serving

/** Two hashes that begin alike, and one of a token that is known. */
const TOKEN = 'a-token-that-is-known-to-the-test'
const HASHES = {
  'token-1111111111': `b3f805a4c2e7${'1'.repeat(52)}`,
  'token-2222222222': `b3f805a4c2e8${'2'.repeat(52)}`,
  'token-3333333333': hashOf(TOKEN),
}

beforeAll(async () => {
  room = await openRoom({
    'tokens.yaml': 'tokens: []\n',
    'postern.yaml': configuration({
      auth: { tokenFile: 'tokens.yaml', tokens: { root: { value: ROOT, level: 'admin' } } },
    }),
  })
  gateway = await room.serve()
})

afterAll(async () => {
  await room?.close()
})

beforeEach(async () => {
  await writeFile(
    room.path('tokens.yaml'),
    `tokens:\n${Object.entries(HASHES)
      .map(([id, hash]) => `  - id: ${id}\n    hash: ${hash}\n    note: ${id}\n    expires_at: null\n`)
      .join('')}`,
    { mode: 0o600 },
  )
  await soon(async () => (await rpc(gateway.url, TOKEN, 'tools/list')).status).toBe(200)
})

const ids = async (): Promise<readonly string[]> =>
  [...(await readFile(room.path('tokens.yaml'), 'utf8')).matchAll(/id: (\S+)/g)].map(([, id]) => id ?? '')

describe('G7 a token is removed', () => {
  it.each([
    ['its id', 'token-3333333333'],
    ['the first 8 characters of its hash', HASHES['token-3333333333'].slice(0, 8)],
    ['more of them', HASHES['token-3333333333'].slice(0, 10)],
    ['the whole hash in capitals', HASHES['token-3333333333'].toUpperCase()],
  ])('G7 by %s', async (_, named) => {
    expect((await room.run(['-remove-token', named])).code).toBe(0)
    expect(await ids()).toEqual(['token-1111111111', 'token-2222222222'])
    await soon(async () => (await rpc(gateway.url, TOKEN, 'tools/list')).status).toBe(401)
  })

  it('G7 by the beginning of its hash from the store as from the file, and by the admin API', async () => {
    const one = await room.add('one')
    const two = await room.add('two')
    expect((await room.run(['-remove-token', one.hash_prefix.slice(0, 8)])).code).toBe(0)
    const removed = await ask(`${gateway.url}/api/v1/admin/tokens/${two.hash_prefix.slice(0, 8)}`, ROOT, {
      method: 'DELETE',
    })
    expect(removed.status).toBe(200)
    const listed = await room.document<{ id: string; status: string }[]>(['token', 'list'])
    for (const { id } of [one, two])
      expect(listed.find((token) => token.id === id)?.status ?? 'revoked').toBe('revoked')
  })
})

describe('G7 a prefix that does not name one token is refused, and nothing is removed', () => {
  const refused = async (named: string) => {
    const { code, stdout } = await room.run(['-remove-token', named, '-json'])
    expect(code).toBe(1)
    expect(await ids()).toEqual(Object.keys(HASHES))
    return JSON.parse(stdout) as { message: string; candidates?: string[] }
  }

  it('G7 ambiguous: the candidates are named', async () => {
    for (const prefix of ['b3f805a4', 'b3f805a4c2e']) {
      expect((await refused(prefix)).candidates?.toSorted()).toEqual(['token-1111111111', 'token-2222222222'])
      const { stderr } = await room.run(['-remove-token', prefix])
      expect(stderr).toContain('token-1111111111')
      expect(stderr).toContain('token-2222222222')
    }
    expect((await room.run(['-remove-token', 'b3f805a4c2e7'])).code).toBe(0)
    expect(await ids()).toEqual(['token-2222222222', 'token-3333333333'])
  })

  it('G7 shorter than 8 characters: said so, with what it would fit', async () => {
    const short = await refused(HASHES['token-3333333333'].slice(0, 7))
    expect(short.message).toMatch(/at least 8/)
    expect(short.candidates).toEqual(['token-3333333333'])
    expect((await refused('b')).message).toMatch(/at least 8/)
  })

  it('G7 of no token, and an id that is cut off', async () => {
    for (const named of ['ffffffffff', 'token-333', 'tok_nobody']) await refused(named)
    // `-remove-token "$UNSET"` in a script.
    expect((await room.run(['-remove-token', ''])).code).toBe(2)
  })

  it('G7 the same by the admin API', async () => {
    const remove = (named: string) =>
      ask(`${gateway.url}/api/v1/admin/tokens/${named}`, ROOT, { method: 'DELETE' })
    expect(await remove('b3f805a4')).toMatchObject({
      status: 409,
      body: { candidates: ['token-1111111111', 'token-2222222222'] },
    })
    expect((await remove('b3f805a')).status).toBe(400)
    expect((await remove('ffffffffff')).status).toBe(404)
    expect(await ids()).toEqual(Object.keys(HASHES))
  })
})

describe('G7 removed is removed', () => {
  it('G7 a second time there is nothing to remove', async () => {
    const { id } = await room.document<IssuedDocument>([
      '-add-token',
      '-token-note',
      'x',
      '-token-expiry',
      '1d',
    ])
    expect((await room.run(['-remove-token', id])).code).toBe(0)
    expect((await room.run(['-remove-token', id])).code).toBe(1)
  })
})
