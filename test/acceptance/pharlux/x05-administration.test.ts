import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  PASSWORD,
  type PeopleRoom,
  openPeopleRoom,
  recorded,
  STORES,
  UNKNOWN_ID,
} from '../../support/people-room.ts'
import { type TestDatabase, testPostgres } from '../../support/postgres.ts'
import type { UserDocument } from '../../support/people-room.ts'
import { soon } from '../../support/soon.ts'
import { observe, served } from '../pgedge/room.ts'

describe.each(STORES)('X5 administration over HTTP, two processes on one %s store', (store) => {
  let people: PeopleRoom
  let admin: string
  beforeAll(async () => {
    people = await openPeopleRoom(store, {}, 2)
    ;({ admin } = people)
  })
  afterAll(() => people?.close())

  const usersOf = async (token: string): Promise<readonly UserDocument[]> =>
    ((await people.api('/admin/users', token)).body as { users: readonly UserDocument[] }).users

  it('X5 makes, lists and deletes users of the own tenant, in either process', async () => {
    const { api } = people
    const [, there] = people.gateways
    const made = await api('/admin/users', admin, {
      json: { username: 'dave', password: PASSWORD, admin: false },
    })
    expect(made).toMatchObject({
      status: 201,
      body: { user_id: expect.any(String) as string, username: 'dave', tenant_id: 'default', admin: false },
    })
    const again = await api('/admin/users', admin, { json: { username: 'Dave', password: PASSWORD } }, there)
    expect([again.status, (again.body as { rule: string }).rule]).toEqual([400, 'user.name_taken'])
    const users = await usersOf(admin)
    expect(users.find(({ username }) => username === 'dave')).toMatchObject({
      tenant_id: 'default',
      admin: false,
      created_at: expect.any(Number) as number,
    })
    expect(new Set(users.map((one) => one.tenant_id))).toEqual(new Set(['default']))
    const token = await people.tokenOf('dave', PASSWORD, there)
    expect((await api('/admin/users', token)).status).toBe(403)
    const { user_id: id } = made.body as { user_id: string }
    const gone = await api(`/admin/users/${id}`, admin, { method: 'DELETE' })
    expect([gone.status, gone.body]).toEqual([204, ''])
    expect((await api('/auth/me', token)).status).toBe(401)
    await soon(async () => (await api('/auth/me', token, {}, there)).status).toBe(401)
    expect((await api(`/admin/users/${id}`, admin, { method: 'DELETE' }, there)).status).toBe(404)
  })

  it('X5 refuses to delete oneself', async () => {
    const { body } = await people.api('/auth/me', admin)
    const { user_id: id } = body as { user_id: string }
    expect((await people.api(`/admin/users/${id}`, admin, { method: 'DELETE' })).status).toBe(400)
    expect((await people.api('/auth/me', admin)).status).toBe(200)
  })

  it('X5 makes a tenant with its administrator, and keeps tenants apart, whoever asks', async () => {
    const { api } = people
    const { adminId, token: theirs } = await people.tenant('acme')
    const json = { tenant_id: 'acme', username: 'second-admin', password: PASSWORD }
    expect((await api('/admin/tenants', admin, { json })).status).toBe(409)
    expect((await api('/auth/me', theirs)).body).toMatchObject({ tenant_id: 'acme', admin: true })
    const { id: ours } = await people.add('frank')

    // Nothing tells one of another tenant from one who does not exist.
    for (const method of ['DELETE', 'PATCH']) {
      const answers = await Promise.all(
        [ours, UNKNOWN_ID].map((id) =>
          api(`/admin/users/${id}`, theirs, {
            method,
            ...(method === 'PATCH' ? { json: { role: 'reader' } } : {}),
          }),
        ),
      )
      const [one, other] = answers.map(({ status, body }) => [
        status,
        { ...(body as object), request_id: '' },
      ])
      expect(one).toEqual(other)
      expect(one?.[0]).toBe(404)
    }
    expect((await api(`/admin/users/${adminId}`, admin, { method: 'DELETE' })).status).toBe(404)
    expect((await usersOf(theirs)).map(({ username }) => username)).toEqual(['acme-admin'])
    expect((await api('/admin/tenants', theirs)).body).toMatchObject({ tenants: [{ tenant_id: 'acme' }] })
    for (const answer of [
      await api('/admin/users?tenant_id=default', theirs),
      await api('/admin/users', theirs, {
        json: { username: 'spy', password: PASSWORD, tenant_id: 'default' },
      }),
      await api('/admin/tenants', theirs, {
        json: { tenant_id: 'new', username: 'x-admin', password: PASSWORD },
      }),
      await api('/admin/tenants/default', theirs, { method: 'DELETE' }),
      await api('/admin/tenants/acme', theirs, { method: 'DELETE' }),
      await api('/admin/tenants/nowhere', theirs, { method: 'DELETE' }),
    ]) {
      expect([answer.status, (answer.body as { code: string }).code]).toEqual([403, 'tenant_not_allowed'])
    }
    // Those who run the gateway say whom they mean.
    expect((await api(`/admin/users/${adminId}?tenant_id=acme`, admin, { method: 'DELETE' })).status).toBe(
      204,
    )
    expect((await api('/auth/me', theirs)).status).toBe(401)
  })

  it('X5 never deletes the first tenant, nor one that is not there', async () => {
    const first = await people.api('/admin/tenants/default', admin, { method: 'DELETE' })
    expect(first).toMatchObject({ status: 400, body: { rule: 'tenant.first' } })
    const none = await people.api('/admin/tenants/nowhere', admin, { method: 'DELETE' })
    expect(none).toMatchObject({ status: 404, body: { rule: 'tenant.id' } })
    expect((await people.api('/auth/me', admin)).status).toBe(200)
  })

  it('X5 deletes a tenant on the command line after asking, and its id stays taken', async () => {
    const { token } = await people.tenant('brief')
    const unasked = await people.run(['tenant', 'delete', 'brief'])
    expect([unasked.code, unasked.stderr]).toEqual([2, expect.stringContaining('--yes') as string])
    const gone = await people.run(['tenant', 'delete', 'brief', '--yes', '--json'])
    expect(JSON.parse(gone.stdout)).toMatchObject({ tenant_id: 'brief', users: 1, tokens: 0 })
    for (const gateway of people.gateways)
      await soon(async () => (await people.api('/auth/me', token, {}, gateway)).status).toBe(401)
    expect((await people.run(['tenant', 'delete', 'brief', '--yes'])).code).toBe(1)
    const again = await people.run(['tenant', 'add', 'brief'])
    expect([again.code, again.stderr]).toEqual([
      1,
      expect.stringContaining('its id stays taken: rows in databases may still carry it') as string,
    ])
    const byUser = await people.run(
      ['user', 'add', '--username', 'late', '--tenant', 'brief', '--password-stdin'],
      PASSWORD,
    )
    expect([byUser.code, byUser.stderr]).toEqual([1, expect.stringContaining('stays taken') as string])
    const json = { tenant_id: 'brief', username: 'x-admin', password: PASSWORD }
    expect(await people.api('/admin/tenants', admin, { json })).toMatchObject({
      status: 409,
      body: { rule: 'tenant.deleted' },
    })
    expect((await people.run(['tenant', 'list', '--json'])).stdout).not.toContain('brief')
    await soon(() => recorded(people)).toEqual(
      expect.arrayContaining(['tenant.delete done', 'tenant.delete refuse', 'tenant.add refuse']),
    )
  })
})

describe.each(STORES)('X5 a tenant deleted while its queries run, two processes on one %s store', (store) => {
  const STATIC = 'a-static-token-of-acme-0123456789'
  let database: TestDatabase
  let people: PeopleRoom
  beforeEach(async () => {
    database = await (await testPostgres()).createDatabase()
    people = await openPeopleRoom(
      store,
      {
        auth: {
          tokens: {
            root: { value: 'the-admin-token-of-the-tests', level: 'admin' },
            theirs: { value: STATIC, tenant: 'acme' },
          },
        },
        databases: [{ ...served('main', database), tenants: 'all' }],
      },
      2,
    )
  })
  afterEach(async () => {
    await people?.close()
    await database?.drop()
  })

  it('X5 ends every query, stream and pool of it in both, and touches nobody else', async () => {
    const { api, gateways, admin } = people
    const acme = await people.tenant('acme')
    const issued = await api('/admin/tokens', acme.token, { json: { note: 'theirs' } })
    const { token: theirs } = issued.body as { token: string }
    const looking = await observe(database)
    const slow = (mark: string): string => `SELECT n, pg_sleep(0.2) AS ${mark} FROM generate_series(1, 500) n`
    const open = gateways.flatMap((gateway) =>
      [acme.token, theirs, STATIC].flatMap((token) =>
        ['application/json', 'application/x-ndjson'].map((accept) =>
          api('/query', token, { json: { sql: slow('of_acme') }, headers: { accept } }, gateway).then(
            ({ status, body }) => ({ status, whole: JSON.stringify(body).includes('"row_count":500') }),
            () => ({ status: 0, whole: false }),
          ),
        ),
      ),
    )
    const bystanders = gateways.map((gateway) =>
      api('/query', admin, { json: { sql: 'SELECT pg_sleep(3) AS of_default' } }, gateway),
    )
    await soon(async () => (await looking.backends('%of_acme%')).length).toBe(open.length)
    await soon(async () => (await looking.backends('%of_default%')).length).toBe(bystanders.length)

    expect((await api('/admin/tenants/acme', admin, { method: 'DELETE' })).status).toBe(204)
    for (const { status, whole } of await Promise.all(open)) {
      expect([0, 200, 401]).toContain(status)
      expect(whole).toBe(false)
    }
    // Not only cancelled: the connections of its pools are gone, too.
    await soon(async () => (await looking.backends('%of_acme%')).length).toBe(0)
    for (const { status } of await Promise.all(bystanders)) expect(status).toBe(200)
    for (const gateway of gateways) {
      for (const token of [acme.token, theirs, STATIC])
        expect((await api('/query', token, { json: { sql: 'SELECT 1' } }, gateway)).status).toBe(401)
      expect((await api('/query', admin, { json: { sql: 'SELECT 1' } }, gateway)).status).toBe(200)
    }
    expect((await people.login('acme-admin')).status).toBe(401)
    await looking.close()
  })
})
