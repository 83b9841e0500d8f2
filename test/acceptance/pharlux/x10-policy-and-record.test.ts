import { rm, writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  loginFrom,
  openPeopleRoom,
  OTHER,
  PASSWORD,
  type PeopleRoom,
  recorded,
  STORES,
  UNKNOWN_ID,
  untilLimited,
} from '../../support/people-room.ts'
import { soon } from '../../support/soon.ts'

let people: PeopleRoom
beforeAll(async () => {
  people = await openPeopleRoom('sqlite')
})
afterAll(() => people?.close())

describe('the policy of passwords', () => {
  it.each([
    ['k7#Qz!', 'at least 12 bytes'],
    ['Password1234!', 'attackers try first'],
    ['qwertyqwerty', 'attackers try first'],
    ['123456789012', 'attackers try first'],
    ['with\0nul in the middle', 'NUL'],
    ['Christopherine', 'is the user name'],
  ])('X10 refuses %j on every path that sets one, and says why without saying it', async (password, why) => {
    const { api, admin, run, room } = people
    const username = 'christopherine'
    const { id } = (await people.add('changed').catch(async () => {
      const { users } = (await api('/admin/users', admin)).body as {
        users: { id: string; username: string }[]
      }
      return users.find((user) => user.username === 'changed') as { id: string }
    })) as { id: string }
    const named = why === 'is the user name'
    const answers = [
      await api('/admin/users', admin, { json: { username, password } }),
      await api('/admin/tenants', admin, { json: { tenant_id: 'never', username, password } }),
      ...(named
        ? []
        : [
            await api(`/admin/users/${id}`, admin, { method: 'PATCH', json: { password } }),
            await api('/auth/password', await people.tokenOf('changed'), {
              json: { current_password: PASSWORD, new_password: password },
            }),
          ]),
    ]
    for (const answer of answers) {
      expect(answer).toMatchObject({
        status: 400,
        body: { rule: 'user.password', message: expect.stringContaining(why) as string },
      })
      expect(JSON.stringify(answer.body)).not.toContain(password)
    }
    if (!password.includes('\0')) {
      const added = await run(['user', 'add', '--username', username, '--password-stdin'], password)
      expect([added.code, added.stderr]).toEqual([1, expect.stringContaining(why) as string])
      expect(added.stderr).not.toContain(password)
    }
    expect((await room.run(['tenant', 'list'])).stdout).not.toContain('never')
  })

  it('X10 takes a list of the operator’s own, beside the other one or in its place, and reads it again', async () => {
    const own = await openPeopleRoom('sqlite')
    try {
      const file = own.room.path('words.txt')
      await writeFile(file, 'acmewidgets\n')
      const settings = (mode: string): string =>
        JSON.stringify({
          server: { addr: '127.0.0.1:0' },
          auth: {
            argon2: { memoryKb: 8_192, timeCost: 1 },
            passwords: { commonFile: './words.txt', commonFileMode: mode, minBytes: 8 },
          },
        })
      await writeFile(own.room.path('own.yaml'), settings('add'))
      const gateway = await own.room.serve('serve', '--config', 'own.yaml')
      const tryOne = async (username: string, password: string): Promise<number> =>
        (await own.api('/admin/users', own.admin, { json: { username, password } }, gateway)).status
      expect([await tryOne('u1', 'AcmeWidgets!!'), await tryOne('u2', 'password123')]).toEqual([400, 400])
      expect(await tryOne('u3', 'globexgadgets')).toBe(201)
      await writeFile(file, 'globexgadgets\n')
      gateway.signal('SIGHUP')
      await soon(async () => await tryOne('u4', 'globexgadgets')).toBe(400)
      // What cannot be read changes nothing, and is told.
      await rm(file)
      gateway.signal('SIGHUP')
      await soon(() => gateway.stderr()).toContain('Not reloaded: the list of passwords')
      expect(await tryOne('u5', 'globexgadgets')).toBe(400)

      await writeFile(own.room.path('own.yaml'), settings('replace'))
      const missing = await own.room.run(['serve', '--config', 'own.yaml', '--json'])
      expect([missing.code, missing.stdout]).toEqual([1, expect.stringContaining('words.txt') as string])
      await writeFile(file, 'globexgadgets\n')
      const replaced = await own.room.serve('serve', '--config', 'own.yaml')
      const status = async (username: string, password: string): Promise<number> =>
        (await own.api('/admin/users', own.admin, { json: { username, password } }, replaced)).status
      expect([await status('u6', 'password123'), await status('u7', 'globexgadgets')]).toEqual([201, 400])
    } finally {
      await own.close()
    }
  })
})

describe('the limits of the sign-in', () => {
  it('X10 slow down whoever guesses at one account, with Retry-After that holds', async () => {
    const [{ url }] = people.gateways
    await people.add('guessed')
    const guess = () => loginFrom('127.0.8.1', url, { username: 'guessed', password: OTHER })
    expect(await untilLimited(guess)).toBeGreaterThanOrEqual(5)
    await untilLimited(guess, 4)
    const refused = await guess()
    expect(refused.body).toMatchObject({ code: 'too_many_requests', rule: 'login.account' })
    expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1)
    // The right password is not let in before its time, and is after it. The owner, elsewhere, never waits.
    const right = (from: string) => loginFrom(from, url, { username: 'guessed', password: PASSWORD })
    expect((await right('127.0.8.1')).status).toBe(429)
    expect((await right('127.0.8.2')).status).toBe(200)
    await soon(async () => (await right('127.0.8.1')).status).toBe(200)
  })

  it('X10 slow down whoever tries many accounts from one address, and nobody else', async () => {
    const [{ url }] = people.gateways
    const from = (address: string, username: string, password: string) =>
      loginFrom(address, url, { username, password })
    for (let at = 0; at < 50; at += 1)
      expect((await from('127.0.8.3', `spray${at}`, OTHER)).status, String(at)).toBe(401)
    // One more for every ten seconds that it took.
    let more = 50
    let refused = await from('127.0.8.3', `spray${more}`, OTHER)
    for (; refused.status === 401 && more < 70; more += 1)
      refused = await from('127.0.8.3', `spray${more}`, OTHER)
    expect(refused).toMatchObject({ status: 429, body: { rule: 'login.address' } })
    expect(Number(refused.headers['retry-after'])).toBeGreaterThanOrEqual(1)
    expect(Number(refused.headers['retry-after'])).toBeLessThanOrEqual(10)
    expect((await from('127.0.8.4', 'alice', PASSWORD)).status).toBe(200)
  })
})

describe.each(STORES)('the record of what was done to people, %s store', (store) => {
  it('X10 has every act and every refused one, by HTTP and by the command line, and no value', async () => {
    const here = await openPeopleRoom(store, {}, 2)
    try {
      const { api, admin, run } = here
      const [, there] = here.gateways
      const { id } = await here.add('erin')
      const erin = await here.tokenOf('erin')
      const patch = (path: string, json: unknown) => api(path, admin, { method: 'PATCH', json }, there)
      // Done, each of them.
      expect((await patch(`/admin/users/${id}`, { role: 'writer' })).status).toBe(200)
      const token = await here.tokenOf('erin')
      const own = { current_password: PASSWORD, new_password: OTHER }
      const fresh = await api('/auth/password', token, { json: own })
      expect(fresh.status).toBe(200)
      await run(['user', 'reset-password', '--username', 'erin', '--password-stdin'], PASSWORD)
      await here.tenant('acme')
      await run(['tenant', 'add', 'north'])
      await run(['tenant', 'delete', 'north', '--yes'])
      expect((await api('/admin/tenants/acme', admin, { method: 'DELETE' })).status).toBe(204)
      // Refused, each of them.
      const again = await here.tokenOf('erin')
      await api('/auth/password', again, { json: { ...own, current_password: 'a wrong current password' } })
      await api('/admin/users', admin, { json: { username: 'alice', password: PASSWORD } })
      await patch(`/admin/users/${UNKNOWN_ID}`, { role: 'reader' })
      await api(`/admin/users/${UNKNOWN_ID}`, admin, { method: 'DELETE' })
      await api('/admin/tenants', admin, {
        json: { tenant_id: 'acme', username: 'x-admin', password: PASSWORD },
      })
      await api('/admin/tenants/default', admin, { method: 'DELETE' })
      await api('/admin/users', erin, { json: { username: 'mallory', password: PASSWORD } })
      await run(['user', 'delete', '--user-id', UNKNOWN_ID])
      await run(['user', 'add', '--username', 'alice', '--password-stdin'], PASSWORD)
      await run(['tenant', 'add', 'north'])
      await run(['tenant', 'delete', 'nowhere', '--yes'])
      await here.login('alice', 'a wrong password that nobody has')
      await api(`/admin/users/${id}`, admin, { method: 'DELETE' })
      await api('/auth/logout', await here.tokenOf('alice'), { method: 'POST' })

      const acts = ['user.add', 'user.change', 'user.delete', 'tenant.add', 'tenant.delete', 'auth.password']
      const expected = [
        ...acts.flatMap((action) => [`${action} done`, `${action} refuse`]),
        'user.reset_password done',
        'auth.logout done',
        'auth.login allow',
        'auth.login refuse',
      ]
      await soon(() => recorded(here)).toEqual(expect.arrayContaining(expected))
      const { body } = await api('/admin/audit?limit=1000', admin)
      const { entries } = body as { entries: Record<string, unknown>[] }
      const byCommand = entries.filter(({ wire }) => wire === 'cli').map(({ tool }) => tool)
      expect(new Set(byCommand)).toEqual(
        new Set(['user.add', 'user.reset_password', 'user.delete', 'tenant.add', 'tenant.delete']),
      )
      const { token: value } = fresh.body as { token: string }
      const everything =
        JSON.stringify(body) + here.gateways.map((one) => one.stderr() + one.stdout()).join('')
      for (const text of [PASSWORD, OTHER, 'a wrong', 'argon2id', admin, value, 'mallory'])
        expect(everything).not.toContain(text)
      expect((await api('/admin/audit/verify', admin)).body).toMatchObject({ intact: true })
    } finally {
      await here.close()
    }
  })
})
