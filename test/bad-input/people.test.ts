import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { killHard, servingPid } from '../support/gateway.ts'
import {
  openPeopleRoom,
  OTHER,
  PASSWORD,
  type PeopleRoom,
  STORES,
  type UserDocument,
} from '../support/people-room.ts'
import type { Answer } from '../support/postern.ts'
import { type TestDatabase, testPostgres } from '../support/postgres.ts'
import { soon } from '../support/soon.ts'
import { observe, served } from '../acceptance/pgedge/room.ts'

const opened: PeopleRoom[] = []
const open = async (...args: Parameters<typeof openPeopleRoom>): Promise<PeopleRoom> => {
  const room = await openPeopleRoom(...args)
  opened.push(room)
  return room
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((room) => room.close()))
})

const codeOf = ({ body }: Answer): string => (body as { code?: string }).code ?? ''
const usersOf = async ({ api, admin }: PeopleRoom): Promise<readonly (UserDocument & { role: string })[]> =>
  ((await api('/admin/users', admin)).body as { users: (UserDocument & { role: string })[] }).users

describe('requests about people that are wrong', () => {
  let people: PeopleRoom
  let id: string
  beforeAll(async () => {
    people = await openPeopleRoom('sqlite')
    ;({ id } = await people.add('bob'))
  })
  afterAll(() => people.close())

  const good = { username: 'newcomer', password: PASSWORD }
  it.each([
    ['no field', {}],
    ['no password', { username: 'newcomer' }],
    ['no name', { password: PASSWORD }],
    ['a number for a name', { ...good, username: 7 }],
    ['null for a password', { ...good, password: null }],
    ['text for admin', { ...good, admin: 'yes' }],
    ['a role that is none', { ...good, role: 'root' }],
    ['a role and admin that contradict', { ...good, role: 'reader', admin: true }],
    ['a list for a tenant', { ...good, tenant_id: ['default'] }],
    ['an e-mail address that is none', { ...good, email: 'not an address' }],
    ['a field that is not there', { ...good, level: 'admin' }],
    ['an id of one’s own', { ...good, id: '01938a6c-0000-7000-8000-000000000000' }],
    ['an empty name', { ...good, username: '' }],
    ['a name of spaces', { ...good, username: '   ' }],
    ['a NUL in a name', { ...good, username: 'new\0comer' }],
    ['a line end in a name', { ...good, username: 'new\ncomer' }],
    ['an invisible character in a name', { ...good, username: 'new\u200bcomer' }],
    ['a reversal in a name', { ...good, username: 'new\u202ecomer' }],
    ['half a surrogate pair in a name', { ...good, username: 'new\ud800comer' }],
    ['two scripts in a name', { ...good, username: 'newсomer' }],
    ['a name that looks like another', { ...good, username: 'b0b' }],
    ['a long name', { ...good, username: 'x'.repeat(257) }],
    ['a NUL in a password', { ...good, password: `${PASSWORD}\0` }],
    ['half a surrogate pair in a password', { ...good, password: `${PASSWORD}\ud800` }],
    ['a password of 1 MB', { ...good, password: 'x'.repeat(1_000_000) }],
    ['a password of 1,025 bytes', { ...good, password: 'é'.repeat(513) }],
  ])('%s: a clear answer, and nobody is made', async (_, json) => {
    const before = (await usersOf(people)).length
    const answer = await people.api('/admin/users', people.admin, { json })
    expect(answer.status).toBe(400)
    const { message } = answer.body as { message: string }
    expect(message.length).toBeGreaterThan(10)
    expect(message).not.toContain(PASSWORD)
    expect(message).not.toMatch(/\p{Cc}/u)
    expect((await usersOf(people)).length).toBe(before)
  })

  it.each([
    ['nothing to change', {}, 200],
    ['null for a role', { role: null }, 400],
    ['a number for disabled', { disabled: 1 }, 400],
    ['another name', { username: 'robert' }, 400],
    ['another tenant', { tenant_id: 'acme' }, 400],
    ['a hash', { password_hash: '$argon2id$' }, 400],
    ['an epoch', { epoch: 0 }, 400],
    ['a good role with a bad password', { role: 'admin', password: 'short' }, 400],
    ['a good password with a bad address', { password: OTHER, email: '@' }, 400],
  ])('a change with %s does all of it or nothing', async (_, json, status) => {
    const answer = await people.api(`/admin/users/${id}`, people.admin, { method: 'PATCH', json })
    expect(answer.status).toBe(status)
    expect((await usersOf(people)).find((one) => one.id === id)).toMatchObject({
      username: 'bob',
      role: 'reader',
      tenant_id: 'default',
      email: null,
      disabled: false,
    })
    expect((await people.login('bob')).status).toBe(200)
  })

  it('ids that are none are not found, and look alike', async () => {
    for (const wrong of [
      'x',
      '..%2f..',
      "' OR 1=1 --",
      'x'.repeat(64),
      '%00',
      '01938a6c-0000-7000-8000-000000000000',
    ]) {
      const { status } = await people.api(`/admin/users/${encodeURIComponent(wrong)}`, people.admin, {
        method: 'DELETE',
      })
      expect([400, 404], wrong).toContain(status)
    }
  })
})

describe('a client that goes away in the middle of a result, and SQL that is none', () => {
  let database: TestDatabase
  beforeAll(async () => {
    database = await (await testPostgres()).createDatabase()
  })
  afterAll(() => database.drop())

  it('the statement ends with the client; a mistake in it is said with its place, and both leave the user signed in', async () => {
    const people = await open('sqlite', { databases: [served('main', database)] })
    const { api, admin, gateways } = people
    const wrong = await api('/query', admin, { json: { sql: 'SELEC 1' } })
    expect(wrong).toMatchObject({ status: 400, body: { code: 'sql_syntax', position: 1 } })
    const looking = await observe(database)
    const body = JSON.stringify({ sql: 'SELECT n AS gone, pg_sleep(0.01) FROM generate_series(1, 100000) n' })
    const port = Number(new URL(gateways[0].url).port)
    const socket = createConnection({ port, host: '127.0.0.1' })
    socket.on('error', () => undefined)
    socket.write(
      [
        'POST /api/v1/query HTTP/1.1',
        'host: localhost',
        `authorization: Bearer ${admin}`,
        'accept: application/x-ndjson',
        'content-type: application/json',
        `content-length: ${body.length}`,
        '',
        body,
      ].join('\r\n'),
    )
    let received = ''
    socket.on('data', (chunk: Buffer) => (received += chunk.toString()))
    await soon(() => received).toContain('"gone":')
    await soon(
      async () => (await looking.backends('%AS gone%')).filter(({ state }) => state === 'active').length,
    ).toBe(1)
    socket.destroy()
    await soon(
      async () => (await looking.backends('%AS gone%')).filter(({ state }) => state === 'active').length,
    ).toBe(0)
    expect((await api('/query', admin, { json: { sql: 'SELECT 1' } })).status).toBe(200)
    await looking.close()
  })
})

describe('a full disk during a change of people', () => {
  /** A limit on the size of files stands in for a full disk: see disk-full.test.ts. */
  const limitFiles = (pid: number, bytes: number | 'unlimited'): void => {
    execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:unlimited`], { timeout: 20_000 })
  }

  it('each change is refused with 503 and has not happened; with room again all goes on', async () => {
    const people = await open('sqlite')
    const { api, admin, room } = people
    const { id } = await people.add('bob')
    const token = await people.tokenOf('bob')
    await people.tenant('acme')
    const pid = servingPid(people.gateways[0])
    const { size } = await stat(room.path('.postern/postern.db-wal'))
    limitFiles(pid, size)
    expect(/^Max file size +(\S+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.[1]).toBe(String(size))
    const answers = [
      await api('/admin/users', admin, { json: { username: 'newcomer', password: PASSWORD } }),
      await api(`/admin/users/${id}`, admin, { method: 'PATCH', json: { role: 'admin', password: OTHER } }),
      await api(`/admin/users/${id}`, admin, { method: 'DELETE' }),
      await api('/admin/tenants', admin, { json: { tenant_id: 'b', username: 'bx', password: PASSWORD } }),
      await api('/admin/tenants/acme', admin, { method: 'DELETE' }),
      await api('/auth/password', token, { json: { current_password: PASSWORD, new_password: OTHER } }),
      await api('/auth/logout', token, { method: 'POST' }),
    ]
    for (const answer of answers) {
      expect([answer.status, codeOf(answer)]).toEqual([503, 'store_unavailable'])
      expect(JSON.stringify(answer.body)).not.toMatch(/SQLITE|\.db|argon2/)
    }
    limitFiles(pid, 'unlimited')
    expect((await usersOf(people)).map(({ username, role }) => `${username} ${role}`)).toEqual([
      'alice admin',
      'bob reader',
    ])
    expect((await api('/auth/me', token)).status).toBe(200)
    expect((await people.login('bob')).status).toBe(200)
    expect((await people.login('acme-admin')).status).toBe(200)
    expect((await api('/admin/tenants', admin)).body).toMatchObject({
      tenants: [{ tenant_id: 'acme' }, { tenant_id: 'default' }],
    })
    expect((await api('/admin/tenants/acme', admin, { method: 'DELETE' })).status).toBe(204)
  })
})

describe.each(STORES)('killed in the middle of changes, %s store', (store) => {
  it('a user is as before or as after, never in between, and what was answered is so', async () => {
    const people = await open(store)
    const { api, admin, room } = people
    const [first] = people.gateways
    await people.tenant('acme')
    const made: string[] = []
    const changing = (async () => {
      for (let at = 0; ; at += 1) {
        const username = `user${at}x`
        const answer = await api('/admin/users', admin, {
          json: { username, password: PASSWORD, role: 'writer', email: `${username}@example.com` },
        })
        if (answer.status === 201) made.push(username)
      }
    })().catch(() => undefined)
    await soon(() => made.length).toBeGreaterThan(5)
    const deleting = api('/admin/tenants/acme', admin, { method: 'DELETE' }).catch(() => undefined)
    await killHard(first)
    await Promise.all([changing, deleting])
    const later = await room.serve()
    const { users } = (await api('/admin/users', admin, {}, later)).body as {
      users: (UserDocument & { role: string; email: string | null })[]
    }
    const names = users.map(({ username }) => username)
    for (const username of made) expect(names).toContain(username)
    for (const { username, role, email } of users) {
      if (username === 'alice') continue
      expect([role, email]).toEqual(['writer', `${username}@example.com`])
    }
    const last = names.at(-1) ?? ''
    expect((await people.login(last, PASSWORD, {}, later)).status).toBe(200)
    // The tenant and its people went together, or are there together.
    const { tenants } = (await api('/admin/tenants', admin, {}, later)).body as {
      tenants: { tenant_id: string }[]
    }
    const isThere = tenants.some((one) => one.tenant_id === 'acme')
    expect((await people.login('acme-admin', PASSWORD, {}, later)).status).toBe(isThere ? 200 : 401)
    expect((await api('/admin/audit/verify', admin, {}, later)).body).toMatchObject({ intact: true })
  })
})

describe.each(STORES)('administrators against each other, two processes on one %s store', (store) => {
  const acts = [
    ['deleting', { method: 'DELETE' }],
    ['demoting', { method: 'PATCH', json: { role: 'reader' } }],
    ['disabling', { method: 'PATCH', json: { disabled: true } }],
  ] as const

  it('of two who delete, demote or disable each other at once, one is left', async () => {
    const people = await open(store, {}, 2)
    const { api, gateways } = people
    const [here, there] = gateways
    for (const [what, act] of acts) {
      for (let round = 0; round < 3; round += 1) {
        const names = [`${what}-${round}-one`, `${what}-${round}-two`] as const
        const [one, two] = [await people.add(names[0], '--admin'), await people.add(names[1], '--admin')]
        const tokens = [
          await people.tokenOf(names[0]),
          await people.tokenOf(names[1], PASSWORD, there),
        ] as const
        const answers = await Promise.all([
          api(`/admin/users/${two.id}`, tokens[0], act, here),
          api(`/admin/users/${one.id}`, tokens[1], act, there),
        ])
        const done = answers.filter(({ status }) => status === 204 || status === 200)
        expect(done, what).toHaveLength(1)
        const refused = answers.find((answer) => !done.includes(answer)) as Answer
        expect([401, 403, 404]).toContain(refused.status)
        const left = (await usersOf(people)).filter(({ id }) => id === one.id || id === two.id)
        expect(
          left.filter((user) => user.role === 'admin' && !('disabled' in user && user.disabled)),
        ).toHaveLength(1)
      }
    }
  })
})

describe('signing in while the store is away', () => {
  it('is told to come back, without a word of the store, and counts as no mistake', async () => {
    const people = await open('postgres')
    const { storeDatabase } = people
    if (!storeDatabase) throw new Error('this store has a database')
    await storeDatabase.drop()
    for (let at = 0; at < 8; at += 1) {
      const answer = await people.login('alice', OTHER)
      expect([answer.status, codeOf(answer)]).toEqual([503, 'store_unavailable'])
      expect(JSON.stringify(answer.body)).not.toMatch(/postgres|database "|5432|127\.0\.0\.1/)
    }
  })
})
