import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openPeopleRoom, OTHER, PASSWORD, type PeopleRoom } from '../support/people-room.ts'

/** Level `admin`, and bound to a database, a server or a scope: such tokens are made for one task. */
const BOUND = [
  ['databases', 'database_not_allowed'],
  ['servers', 'server_not_allowed'],
  ['scopes', 'scope_missing'],
] as const

let people: PeopleRoom
let victim: string
const bound: Record<string, string> = {}
beforeAll(async () => {
  people = await openPeopleRoom('sqlite', {
    mcpServers: { vault: { command: 'cat', userCredential: { env: 'VAULT_TOKEN' } } },
  })
  ;({ id: victim } = await people.add('victim', '--admin'))
  for (const [what] of BOUND) {
    const issued = await people.api('/admin/tokens', people.admin, {
      json: { note: `bound ${what}`, level: 'admin', [what]: ['one'] },
    })
    expect(issued.status).toBe(201)
    bound[what] = (issued.body as { token: string }).token
  }
})
afterAll(() => people?.close())

describe.each(BOUND)('an administrator who is bound to some %s', (what, code) => {
  const ask = (path: string, method: string, json: Readonly<Record<string, unknown>>) =>
    people.api(path, bound[what] ?? '', { method, json })

  it('makes no person, who would have all of them after a sign-in', async () => {
    const made = await ask('/admin/users', 'POST', {
      username: `of-${what}`,
      password: PASSWORD,
      role: 'admin',
    })
    expect(made).toMatchObject({ status: 403, body: { code, rule: `user.${what}` } })
    expect((await people.login(`of-${what}`)).status).toBe(401)
  })

  it('makes no tenant with an administrator of his own', async () => {
    const made = await ask('/admin/tenants', 'POST', {
      tenant_id: `of-${what}`,
      username: 'mine',
      password: PASSWORD,
    })
    expect(made).toMatchObject({ status: 403, body: { code } })
  })

  it('takes nobody over: neither password nor role, address or way back in', async () => {
    for (const change of [
      { password: OTHER },
      { role: 'admin' },
      { email: 'mine@example.com' },
      { disabled: false },
      { disabled: true, password: OTHER },
    ]) {
      const changed = await ask(`/admin/users/${victim}`, 'PATCH', change)
      expect(changed, JSON.stringify(change)).toMatchObject({ status: 403, body: { code } })
    }
    expect((await people.login('victim', OTHER)).status).toBe(401)
    expect((await people.login('victim', PASSWORD)).status).toBe(200)
  })

  it('may shut somebody out, which hands nothing to anybody', async () => {
    const { id } = await people.add(`leaver-${what}`)
    expect((await ask(`/admin/users/${id}`, 'PATCH', { disabled: true })).status).toBe(200)
    expect((await people.login(`leaver-${what}`)).status).toBe(401)
  })
})

it('an administrator who is bound to some servers leaves and takes no credential for another one', async () => {
  const path = '/admin/servers/vault/credentials/victim'
  const value = 'what-others-would-act-with'
  const put = (token: string) => people.api(path, token, { method: 'PUT', json: { value } })
  const refused = { status: 403, body: { code: 'server_not_allowed' } }
  expect(await put(bound['servers'] ?? '')).toMatchObject(refused)
  expect((await put(people.admin)).status).toBe(200)
  expect(await people.api(path, bound['servers'] ?? '', { method: 'DELETE' })).toMatchObject(refused)
  expect((await people.api(path, people.admin, { method: 'DELETE' })).body).toEqual({ removed: true })
})
