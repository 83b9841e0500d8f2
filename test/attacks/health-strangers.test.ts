import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openPeopleRoom, type PeopleRoom } from '../support/people-room.ts'

const ROUTES = ['/health', '/health/live', '/health/ready', '/api/v1/health', '/api/v1/health/ready'] as const

let people: PeopleRoom
let url: string
let reader: string
let foreign: string
beforeAll(async () => {
  people = await openPeopleRoom('sqlite', {
    databases: [{ name: 'hidden-database', url: 'postgres://reader@127.0.0.1:1/nowhere' }],
    mcpServers: { 'hidden-server': { command: 'cat' } },
  })
  ;[{ url }] = people.gateways
  await people.add('reader')
  reader = await people.tokenOf('reader')
  ;({ token: foreign } = await people.tenant('acme'))
})
afterAll(() => people?.close())

const ask = (path: string, token: string | null, more: RequestInit = {}): Promise<Response> =>
  fetch(`${url}${path}`, {
    ...more,
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
  })

describe('whoever asks how Postern is', () => {
  it.each(ROUTES)('is told one word by %s, unless they run it', async (path) => {
    const [head = '', body = ''] = reader.split('.')
    for (const token of [null, 'invented', `${head}.${body}.AAAA`, reader, foreign]) {
      const answer = (await (await ask(`${path}?any=thing&any=twice`, token)).json()) as object
      expect(Object.keys(answer), String(token)).toEqual(['status'])
    }
    const whole = await (await ask(path, people.admin)).text()
    expect(whole.includes('hidden-database')).toBe(!path.endsWith('live'))
  })

  it('takes nothing in and does nothing else', async () => {
    for (const path of [...ROUTES, '/.well-known/jwks.json']) {
      for (const method of ['POST', 'PUT', 'DELETE', 'PATCH'])
        expect((await ask(path, null, { method, body: 'x'.repeat(100_000) })).status, path).toBeGreaterThan(
          400,
        )
      expect(await (await ask(path, null, { method: 'HEAD' })).text()).toBe('')
    }
  })

  it('keeps nobody else waiting by asking a thousand times at once with credentials that are none', async () => {
    const flood = Array.from({ length: 1_000 }, async (_, at) => {
      const answer = await ask(ROUTES[at % ROUTES.length] ?? '', `pst_${String(at).padStart(43, 'x')}`)
      return `${answer.status} ${Object.keys((await answer.json()) as object).join(' ')}`
    })
    const others = Array.from({ length: 20 }, () => people.api('/auth/me', reader))
    for (const { status } of await Promise.all(others)) expect(status).toBe(200)
    expect(new Set(await Promise.all(flood))).toEqual(new Set(['200 status']))
    const { entries } = (await people.api('/admin/audit?limit=1000', people.admin)).body as {
      entries: { outcome: string; kind: string }[]
    }
    // Refusals beyond the first twenty of an address are counted, not listed.
    const refused = entries.filter(({ kind, outcome }) => kind === 'authentication' && outcome === 'refuse')
    expect(refused.length).toBeLessThan(60)
  })
})
