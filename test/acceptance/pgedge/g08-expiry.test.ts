import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, type Serving } from '../../support/postern.ts'
import { configuration, type IssuedDocument, issue, openRoom, ROOT, type Room } from './room.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

const LENGTHS = [
  ['12h', 12 * HOUR],
  ['30d', 30 * DAY],
  ['2w', 14 * DAY],
  ['1y', 365 * DAY],
  ['90d', 90 * DAY],
  ['180d', 180 * DAY],
  ['1h', HOUR],
] as const

let room: Room
let gateway: Serving

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

/** How long a token lives. The file holds whole seconds. */
const lifeOf = ({ created_at, expires_at }: IssuedDocument): number | null =>
  expires_at === null ? null : Date.parse(expires_at) - Date.parse(created_at)

const viaFlags = (expiry: string) =>
  room.document<IssuedDocument>(['-add-token', '-token-note', 'x', '-token-expiry', expiry])

describe('G8 an expiry', () => {
  it.each(LENGTHS)('G8 %s is as long as it says', async (expiry, length) => {
    const added = await viaFlags(expiry)
    expect(Math.abs((lifeOf(added) ?? 0) - length)).toBeLessThanOrEqual(1_000)
    expect(Math.abs(Date.parse(added.created_at) - Date.now())).toBeLessThan(60_000)
    // The admin API and the native command mean the same.
    expect(lifeOf(await issue(gateway, 'x', { expiry }))).toBe(length)
  })

  it('G8 never is never, in every spelling of the command', async () => {
    expect(lifeOf(await viaFlags('never'))).toBeNull()
    expect(lifeOf(await room.add('x', '--expiry', 'never'))).toBeNull()
    expect(lifeOf(await issue(gateway, 'x', { expiry: 'never' }))).toBeNull()
    const { stdout } = await room.run(['-list-tokens'])
    // The fourth is the one of the configuration.
    expect(stdout.match(/Expires: +Never/g)).toHaveLength(4)
  })

  it('G8 6m is refused with the hint to say 180d, before anything is made', async () => {
    const before = (await room.document<unknown[]>(['-list-tokens'])).length
    for (const args of [
      ['-add-token', '-token-note', 'x', '-token-expiry', '6m'],
      ['token', 'add', '--note', 'x', '--expiry', '6m'],
    ]) {
      const { code, stderr, stdout } = await room.run(args)
      expect([code, stdout]).toEqual([2, ''])
      expect(stderr).toMatch(/180d/)
    }
    const byApi = await ask(`${gateway.url}/api/v1/admin/tokens`, ROOT, { json: { note: 'x', expiry: '6m' } })
    expect(byApi).toMatchObject({ status: 400, body: { message: expect.stringContaining('180d') as string } })
    expect(await room.document<unknown[]>(['-list-tokens'])).toHaveLength(before)
  })

  it.each(['', '30', '0d', '-1d', '1.5d', '30 d', 'd', '1d12h', 'tomorrow', '999999y', '1d; rm'])(
    'G8 %j is refused with what would do',
    async (expiry) => {
      const refused = await ask(`${gateway.url}/api/v1/admin/tokens`, ROOT, { json: { note: 'x', expiry } })
      expect(refused.status).toBe(400)
      expect(JSON.stringify(refused.body)).toMatch(/never|1h|12h/)
    },
  )

  it('G8 a wrong one on the command line is wrong usage, and names the forms', async () => {
    const { code, stderr } = await room.run(['-add-token', '-token-note', 'x', '-token-expiry', '30'])
    expect(code).toBe(2)
    for (const form of ['12h', '30d', '2w', '1y', 'never']) expect(stderr).toContain(form)
  })
})
