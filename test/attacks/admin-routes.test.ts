import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Route } from '../../src/http/define-route.ts'
import { controlRoutes } from '../../src/http/routes/index.ts'
import { manualClock } from '../support/clock.ts'
import { controlParts } from '../support/http-parts.ts'
import { openPeopleRoom, PASSWORD, type PeopleRoom, UNKNOWN_ID } from '../support/people-room.ts'
import type { Answer } from '../support/postern.ts'

/** Every route of the administration, from the route table: a new one is in here by being made. */
const ROUTES = controlRoutes(controlParts(manualClock()).parts).filter(
  ({ access, path }) => access === 'admin' || path.startsWith('/api/v1/admin/'),
)

/**
 * What an administrator of another tenant asks each of them about the first tenant, and what comes of it: `own` shows the
 * own tenant's part, `hidden` is the answer for what does not exist, `refused` is 403. A route that is missing here
 * fails the test: think about tenants before adding it.
 */
interface Case {
  readonly outcome: 'own' | 'hidden' | 'refused'
  readonly query?: string
  readonly json?: Readonly<Record<string, unknown>>
  /** Parts of the path, as they are in the first tenant. */
  readonly params?: (ids: Ids) => Readonly<Record<string, string>>
}

interface Ids {
  readonly user: string
  readonly token: string
}

const FOREIGN: Readonly<Record<string, Case>> = {
  'token.list': { outcome: 'own' },
  'token.add': { outcome: 'refused', json: { note: 'spy', tenant: 'default' } },
  'token.rotate': { outcome: 'hidden', json: {}, params: ({ token }) => ({ id: token }) },
  'token.remove': { outcome: 'hidden', params: ({ token }) => ({ id: token }) },
  'user.list': { outcome: 'refused', query: '?tenant_id=default' },
  'user.add': {
    outcome: 'refused',
    json: { username: 'spy', password: PASSWORD, role: 'admin', tenant_id: 'default' },
  },
  'user.change': { outcome: 'hidden', json: { role: 'reader' }, params: ({ user }) => ({ id: user }) },
  'user.delete': { outcome: 'hidden', params: ({ user }) => ({ id: user }) },
  'tenant.list': { outcome: 'own' },
  'tenant.add': {
    outcome: 'refused',
    json: { tenant_id: 'third', username: 'third-admin', password: PASSWORD },
  },
  'tenant.delete': { outcome: 'refused', params: () => ({ id: 'acme' }) },
  'server.list': { outcome: 'own' },
  'server.show': { outcome: 'own', params: () => ({ server: 'vault' }) },
  'server.restart': { outcome: 'refused', params: () => ({ server: 'vault' }) },
  'server.credential.list': { outcome: 'own', params: () => ({ server: 'vault' }) },
  'server.credential.set_for': {
    outcome: 'refused',
    query: '?tenant=default',
    json: { value: 'a-credential' },
    params: () => ({ server: 'vault', principal: 'principal-of-default' }),
  },
  'server.credential.remove_for': {
    outcome: 'refused',
    query: '?tenant=default',
    params: () => ({ server: 'vault', principal: 'principal-of-default' }),
  },
  'audit.search': { outcome: 'own' },
  'audit.verify': { outcome: 'own' },
  'metrics.read': { outcome: 'refused' },
}

let people: PeopleRoom
let ids: Ids
let foreign: string
const lower: Record<string, string> = {}
beforeAll(async () => {
  people = await openPeopleRoom('sqlite', {
    mcpServers: { vault: { command: 'cat', userCredential: { env: 'VAULT_TOKEN' } } },
  })
  const { id: user } = await people.add('victim-of-default', '--admin')
  const issued = await people.api('/admin/tokens', people.admin, { json: { note: 'token-of-default' } })
  ids = { user, token: (issued.body as { id: string }).id }
  const left = await people.api('/admin/servers/vault/credentials/principal-of-default', people.admin, {
    method: 'PUT',
    json: { value: 'a-credential-for-the-vault' },
  })
  expect(left.status).toBe(200)
  ;({ token: foreign } = await people.tenant('acme'))
  for (const role of ['reader', 'writer']) {
    await people.add(role, '--role', role)
    await people.add(`acme-${role}`, '--role', role, '--tenant', 'acme')
    lower[role] = await people.tokenOf(role)
    lower[`acme-${role}`] = await people.tokenOf(`acme-${role}`)
  }
})
afterAll(() => people?.close())

async function ask(route: Route, token: string | null): Promise<Answer> {
  const { query = '', json, params } = FOREIGN[route.name] ?? { params: undefined }
  const parts = params?.(ids) ?? {}
  const path = route.path.replace(/\{(\w+)\}/g, (_, name: string) => parts[name] ?? UNKNOWN_ID)
  const { gateways } = people
  const answer = await fetch(`${gateways[0].url}${path}${query}`, {
    method: route.method,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(json === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
  })
  const text = await answer.text()
  return {
    status: answer.status,
    headers: answer.headers,
    body: text.startsWith('{') ? (JSON.parse(text) as unknown) : text,
  }
}

const codeOf = ({ body }: Answer): string => (body as { code?: string }).code ?? ''

describe('every route of the administration', () => {
  it('is judged for tenants below', () => {
    expect(ROUTES.length).toBeGreaterThan(15)
    expect(Object.keys(FOREIGN).toSorted()).toEqual(ROUTES.map(({ name }) => name).toSorted())
    // Nothing of the administration stands outside its path, or is open to lower levels, but the metrics.
    for (const { path, access, name } of ROUTES)
      expect([access, path.startsWith('/api/v1/admin/') || name === 'metrics.read']).toEqual(['admin', true])
  })

  it.each(ROUTES.map((route) => [`${route.method} ${route.path}`, route] as const))(
    '%s is shut for strangers, readers and writers of any tenant',
    async (_, route) => {
      expect((await ask(route, null)).status).toBe(401)
      for (const [who, token] of Object.entries(lower)) {
        const answer = await ask(route, token)
        expect([answer.status, codeOf(answer)], who).toEqual([403, 'level_too_low'])
      }
    },
  )

  it.each(ROUTES.map((route) => [`${route.method} ${route.path}`, route] as const))(
    '%s shows and changes nothing of another tenant for its administrators',
    async (_, route) => {
      const answer = await ask(route, foreign)
      const { outcome } = FOREIGN[route.name] as Case
      if (outcome === 'own') expect(answer.status).toBe(200)
      else if (outcome === 'refused') {
        expect([answer.status, codeOf(answer)]).toEqual([403, 'tenant_not_allowed'])
      } else expect([answer.status, codeOf(answer)]).toEqual([404, 'not_found'])
      expect(JSON.stringify(answer.body)).not.toMatch(
        /victim-of-default|token-of-default|principal-of-default|"tenant(_id)?":"default"/,
      )
    },
  )

  it('left the first tenant as it was', async () => {
    const { api, admin } = people
    const { users } = (await api('/admin/users', admin)).body as {
      users: { id: string; username: string; role: string }[]
    }
    expect(users.find(({ id }) => id === ids.user)).toMatchObject({ role: 'admin' })
    expect(users.some(({ username }) => username === 'spy')).toBe(false)
    const { tokens } = (await api('/admin/tokens', admin)).body as {
      tokens: { id: string; status: string; note: string }[]
    }
    expect(tokens.find(({ id }) => id === ids.token)).toMatchObject({ status: 'valid' })
    expect(tokens.some(({ note }) => note === 'spy')).toBe(false)
    const { tenants } = (await api('/admin/tenants', admin)).body as { tenants: { tenant_id: string }[] }
    expect(tenants.map((one) => one.tenant_id)).toEqual(['acme', 'default'])
    expect(JSON.stringify((await api('/admin/servers/vault/credentials', admin)).body)).toContain(
      'principal-of-default',
    )
  })
})
