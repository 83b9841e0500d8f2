import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { soon } from '../../support/soon.ts'
import { knock, logOf, openRoom, type Room } from './room.ts'

const DEV_TOKEN = 'f3-development-token-0123456789'
const ENV = { DEV_TOKEN, DATABASE_URL: 'f3-database-url-0123456789' }
const WRONG = 'f3-wrong-token-0123456789'

let room: Room

beforeAll(async () => {
  room = await openRoom('config.dev.json')
})

afterAll(async () => {
  await room?.close()
})

describe('F3 named static tokens', () => {
  it('F3 appear by name in log and record, and never by value', async () => {
    const gateway = await room.serve(['-config', 'config.dev.json', '-addr', '127.0.0.1:0'], ENV)
    expect((await knock(gateway.url, DEV_TOKEN)).status).toBe(200)
    expect((await knock(gateway.url, 'test-token-456')).status).toBe(200)
    expect((await knock(gateway.url, WRONG)).status).toBe(401)
    await soon(() => logOf(gateway).map((line) => line['token_name'])).toEqual(
      expect.arrayContaining(['dev', 'test']),
    )
    const search = await room.run(['audit', 'search', '--config', 'config.dev.json', '--json'], ENV)
    expect(search.code).toBe(0)
    const listed = await room.run(['token', 'list', '--config', 'config.dev.json', '--json'], ENV)
    expect(listed.code).toBe(0)
    expect(JSON.parse(listed.stdout)).toMatchObject([
      { note: 'dev', level: 'read-write' },
      { note: 'test', level: 'read-write' },
    ])
    await gateway.stop()
    const said = [gateway.stderr(), gateway.stdout(), search.stdout, search.stderr, listed.stdout].join('\n')
    expect(said).toContain('dev')
    for (const secret of [DEV_TOKEN, 'test-token-456', 'dev-token-123', ENV.DATABASE_URL, WRONG])
      expect(said).not.toContain(secret)
  })
})
