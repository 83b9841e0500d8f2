import { readFile } from 'node:fs/promises'
import Database from 'better-sqlite3'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { rpc } from '../../support/postern.ts'
import { configuration, hashOf, logOf, openRoom, type Room, soon } from './room.ts'

const LIVING = ['first-token-of-three', 'second-token-of-three', 'third-token-of-three']
const DEAD = 'the-token-that-has-expired'

let room: Room

const entry = (token: string, expires: string): string =>
  `  - id: token-of-${token}\n    hash: ${hashOf(token)}\n    note: ${token}\n    created_at: "2024-10-30T10:15:30Z"\n    expires_at: ${expires}\n`

beforeAll(async () => {
  room = await openRoom({
    'tokens.yaml': `# of the team\ntokens:\n${entry(LIVING[0] ?? '', '"2124-10-30T10:15:30Z"')}${entry(DEAD, '"2024-11-30T10:15:30Z"')}${LIVING.slice(
      1,
    )
      .map((token) => entry(token, 'null'))
      .join('')}`,
    'postern.yaml': configuration({ auth: { tokenFile: 'tokens.yaml' } }),
  })
})

afterAll(async () => {
  await room?.close()
})

describe('G10 at start', () => {
  it('G10 expired tokens are removed from the token file, and the log counts what was loaded and removed', async () => {
    const gateway = await room.serve()
    const file = room.path('tokens.yaml')
    const messages = () => logOf(gateway).map(({ msg }) => msg)
    await soon(messages).toContain(`Removed 1 expired token(s) from ${file}`)
    expect(messages()).toContainEqual(expect.stringMatching(/^Loaded 4 API token\(s\) from .*tokens\.yaml$/))
    const text = await readFile(file, 'utf8')
    expect(text).not.toContain(hashOf(DEAD))
    expect(text).toContain('# of the team')
    for (const token of LIVING) {
      expect(text).toContain(hashOf(token))
      expect((await rpc(gateway.url, token, 'tools/list')).status).toBe(200)
    }
    expect((await rpc(gateway.url, DEAD, 'tools/list')).status).toBe(401)
    expect(await room.document<unknown[]>(['token', 'list'])).toHaveLength(3)
    await gateway.stop()
  })

  it('G10 the next start has nothing to remove and does not say so', async () => {
    const gateway = await room.serve()
    await soon(() => logOf(gateway).map(({ msg }) => msg)).toContain(
      `Loaded 3 API token(s) from ${room.path('tokens.yaml')}`,
    )
    await gateway.stop()
    expect(gateway.stderr()).not.toContain('Removed')
  })

  it('G10 the same for tokens of the store', async () => {
    const [dying, living] = [await room.add('dying'), await room.add('living')]
    const store = new Database(room.path('.postern/postern.db'))
    store.prepare('UPDATE tokens SET expires_at = ? WHERE id = ?').run(Date.now() - 1_000, dying.id)
    store.close()
    const gateway = await room.serve()
    await soon(() => logOf(gateway).map(({ msg }) => msg)).toContain('Removed 1 expired token(s) from store')
    expect(logOf(gateway).map(({ msg }) => msg)).toContain('Loaded 1 API token(s) from store')
    expect((await rpc(gateway.url, dying.token, 'tools/list')).status).toBe(401)
    expect((await rpc(gateway.url, living.token, 'tools/list')).status).toBe(200)
    const listed = await room.document<{ id: string }[]>(['token', 'list'])
    expect(listed.map(({ id }) => id)).not.toContain(dying.id)
  })
})
