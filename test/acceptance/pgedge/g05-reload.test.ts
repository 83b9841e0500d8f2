import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, rpc, type Serving } from '../../support/postern.ts'
import { configuration, type IssuedDocument, issue, logOf, openRoom, ROOT, type Room, soon } from './room.ts'

/** What the product promises, and what a machine that does ten other things is given. Milliseconds. */
const PROMISED_MS = 100
const PATIENT_MS = 1_000

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

const status = async (token: string): Promise<number> => (await rpc(gateway.url, token, 'tools/list')).status

/** Milliseconds from now until the token gets this answer. */
async function until(token: string, wanted: number): Promise<number> {
  const started = performance.now()
  for (;;) {
    const seen = await status(token)
    const passed = performance.now() - started
    if (seen === wanted) return passed
    if (passed > 10_000) throw new Error(`still ${seen} after ${passed} ms`)
  }
}

const says = (ms: number): string => `took effect after ${ms.toFixed(1)} ms (promised: ${PROMISED_MS} ms)`
const reloads = (): readonly string[] =>
  logOf(gateway).map(({ msg }) => msg).filter((msg) => msg.startsWith('[AUTH] Reloaded')) // prettier-ignore

describe.each([
  ['in the token file', ['-add-token', '-token-note', 'New Client', '-token-expiry', '30d'], '-remove-token'],
  ['in the store', ['token', 'add', '--note', 'New Client', '--expiry', '30d'], 'token remove'],
])('G5 beside a running server, %s', (place, add, remove) => {
  let added: IssuedDocument

  it(`G5 a token that another process adds ${place} works within 100 ms`, async ({ annotate }) => {
    const before = reloads().length
    added = await room.document<IssuedDocument>(add)
    const ms = await until(added.token, 200)
    await annotate(says(ms))
    expect(ms).toBeLessThan(PATIENT_MS)
    await soon(() => reloads().length).toBeGreaterThan(before)
    if (place === 'in the token file')
      expect(reloads().at(-1)).toBe(`[AUTH] Reloaded ${room.path('tokens.yaml')}`)
  })

  it(`G5 a token that another process removes ${place} stops working within 100 ms`, async ({ annotate }) => {
    const before = reloads().length
    expect(await status(added.token)).toBe(200)
    expect((await room.run([...remove.split(' '), added.hash_prefix])).code).toBe(0)
    const ms = await until(added.token, 401)
    await annotate(says(ms))
    expect(ms).toBeLessThan(PATIENT_MS)
    await soon(() => reloads().length).toBeGreaterThan(before)
    expect(gateway.stderr()).not.toContain(added.token)
  })
})

describe('G5 a token that was refused a moment ago', () => {
  it('G5 is let in once it is there: a refusal is not remembered', async () => {
    const added = await room.document<IssuedDocument>(['token', 'add', '--note', 'first'])
    expect((await room.run(['token', 'remove', added.id])).code).toBe(0)
    await until(added.token, 401)
    const next = await issue(gateway, 'second')
    expect(await status(next.token)).toBe(200)
  })
})

describe('G5 without leaving the server', () => {
  it('G5 the admin API adds and removes with effect on the very next request', async () => {
    for (const into of ['store', 'token-file']) {
      const { id, token } = await issue(gateway, 'by API', { into })
      expect(await status(token)).toBe(200)
      const removed = await ask(`${gateway.url}/api/v1/admin/tokens/${id}`, ROOT, { method: 'DELETE' })
      expect(removed.status).toBeLessThan(300)
      expect(await status(token)).toBe(401)
    }
  })

  it('G5 an open stream ends with the token', async () => {
    const { id, token } = await issue(gateway, 'with a stream')
    const headers = { authorization: `Bearer ${token}`, accept: 'text/event-stream' }
    const stream = await fetch(`${gateway.url}/sse`, { headers })
    expect(stream.status).toBe(200)
    const ended = (async () => {
      for await (const _ of stream.body ?? []) {
        // Until it is closed.
      }
    })()
    await ask(`${gateway.url}/api/v1/admin/tokens/${id}`, ROOT, { method: 'DELETE' })
    await ended.catch(() => undefined)
    expect(await status(token)).toBe(401)
  })
})
