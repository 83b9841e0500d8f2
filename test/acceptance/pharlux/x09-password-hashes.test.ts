import { readFileSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import BetterSqlite3 from 'better-sqlite3'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { servingPid } from '../../support/gateway.ts'
import {
  loginFrom,
  openPeopleRoom,
  OTHER,
  PASSWORD,
  type PeopleRoom,
  STORES,
} from '../../support/people-room.ts'
import type { Serving } from '../../support/postern.ts'

/** The hash of a user as the store has it: looked up from outside, past the gateway. */
async function hashOf({ room, storeDatabase }: PeopleRoom, name: string): Promise<string> {
  if (!storeDatabase) {
    const database = new BetterSqlite3(room.path('.postern/postern.db'), { readonly: true })
    try {
      const select = database.prepare('SELECT password_hash FROM users WHERE name = ? AND deleted_at IS NULL')
      return String(select.pluck().get(name))
    } finally {
      database.close()
    }
  }
  const client = new Client({ connectionString: storeDatabase.url })
  await client.connect()
  try {
    const { rows } = await client.query<{ password_hash: string }>(
      'SELECT password_hash FROM users WHERE name = $1 AND deleted_at IS NULL',
      [name],
    )
    return rows[0]?.password_hash ?? ''
  } finally {
    await client.end()
  }
}

/** Seconds of processor time that the process has used. */
function cpuSeconds(serving: Serving): number {
  const stat = readFileSync(`/proc/${servingPid(serving)}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

describe.each(STORES)('X9 hashes of passwords, %s store', (store) => {
  let people: PeopleRoom
  beforeAll(async () => {
    people = await openPeopleRoom(store)
  })
  afterAll(() => people?.close())

  it('X9 every path that sets a password makes an Argon2id hash with the configured parameters', async () => {
    const { api, admin, run } = people
    const configured = /^\$argon2id\$v=19\$m=8192,t=1,p=1\$[\w+/]{22}\$[\w+/]{43}$/
    expect(await hashOf(people, 'alice')).toMatch(configured)
    const seen = new Set<string>()
    const expectNew = async (name: string): Promise<void> => {
      const hash = await hashOf(people, name)
      expect(hash).toMatch(configured)
      expect(seen.has(hash)).toBe(false)
      seen.add(hash)
    }
    const made = await api('/admin/users', admin, { json: { username: 'bob', password: PASSWORD } })
    await expectNew('bob')
    const { user_id: id } = made.body as { user_id: string }
    expect(
      (await api(`/admin/users/${id}`, admin, { method: 'PATCH', json: { password: OTHER } })).status,
    ).toBe(200)
    await expectNew('bob')
    const own = await api('/auth/password', await people.tokenOf('bob', OTHER), {
      json: { current_password: OTHER, new_password: PASSWORD },
    })
    expect(own.status).toBe(200)
    await expectNew('bob')
    expect((await run(['user', 'reset-password', '--username', 'bob', '--password-stdin'], OTHER)).code).toBe(
      0,
    )
    await expectNew('bob')
    await people.tenant('acme')
    await expectNew('acme-admin')
  })

  it('X9 an old hash verifies with its own parameters and is made anew at the sign-in, not before', async () => {
    await people.add('carol')
    const before = await hashOf(people, 'carol')
    const file = people.room.path('postern.yaml')
    const text = await readFile(file, 'utf8')
    await writeFile(
      file,
      text.replace('"memoryKb": 8192', '"memoryKb": 9216').replace('"timeCost": 1', '"timeCost": 2'),
    )
    const later = await people.room.serve()
    expect((await people.login('carol', OTHER, {}, later)).status).toBe(401)
    expect(await hashOf(people, 'carol')).toBe(before)
    expect((await people.login('carol', PASSWORD, {}, later)).status).toBe(200)
    const after = await hashOf(people, 'carol')
    expect(after).toMatch(/^\$argon2id\$v=19\$m=9216,t=2,p=1\$/)
    // The process with the older configuration takes it as well, and does not make it anew for ever.
    await writeFile(file, text)
    expect((await people.login('carol', PASSWORD, {}, later)).status).toBe(200)
    expect(await hashOf(people, 'carol')).toBe(after)
    expect((await people.login('carol', OTHER, {}, later)).status).toBe(401)
  })
})

describe('X9 the work of a sign-in', () => {
  let people: PeopleRoom
  beforeAll(async () => {
    // Some 200 ms of a core: nothing else of a request comes near it.
    people = await openPeopleRoom('sqlite', { auth: { argon2: { memoryKb: 65_536, timeCost: 6 } } })
  })
  afterAll(() => people?.close())

  it('X9 an unknown user, a disabled one, an unknown tenant and a wrong password cost one hash each', async () => {
    const { add, api, admin, gateways } = people
    const { id } = await add('disabled')
    await api(`/admin/users/${id}`, admin, { method: 'PATCH', json: { disabled: true } })
    await people.login('nobody-warm-up', OTHER)
    const costOf = async (username: string, password: string, more = {}): Promise<number> => {
      const before = cpuSeconds(gateways[0])
      expect((await people.login(username, password, more)).status).toBe(401)
      return cpuSeconds(gateways[0]) - before
    }
    const wrong = await costOf('alice', OTHER)
    expect(wrong).toBeGreaterThan(0.05)
    for (const cost of [
      await costOf('nobody-at-all', OTHER),
      await costOf('nobody@example.com', OTHER),
      await costOf('disabled', PASSWORD),
      await costOf('alice', PASSWORD, { tenant_id: 'nowhere' }),
      await costOf('alice', PASSWORD, { tenant_id: 'No Such!' }),
      await costOf('a name that cannot be one', OTHER),
    ]) {
      expect(cost / wrong).toBeGreaterThan(0.5)
      expect(cost / wrong).toBeLessThan(2)
    }
  })

  it('X9 a flood is bounded, told when to come back, and leaves others in', async () => {
    const { gateways } = people
    const [{ url }] = gateways
    // More than may wait, of one address and of unknown names: each costs a whole hash.
    const flood = Array.from({ length: 60 }, (_, at) =>
      loginFrom('127.0.9.1', url, { username: `nobody${at}`, password: OTHER }),
    )
    const other = await loginFrom('127.0.9.2', url, { username: 'alice', password: PASSWORD })
    expect(other.status).toBe(200)
    const answers = await Promise.all(flood)
    const refused = answers.filter(({ status }) => status === 429)
    expect(refused.length).toBeGreaterThanOrEqual(60 - 32 - 8)
    for (const { headers, body } of refused) {
      expect(body).toMatchObject({ code: 'too_many_requests', rule: 'auth.argon2' })
      expect(Number(headers['retry-after'])).toBeGreaterThanOrEqual(1)
    }
    for (const { status } of answers) expect([401, 429]).toContain(status)
    // The others were not waiting for all of it: the flood's last answers came after theirs.
    expect((await loginFrom('127.0.9.2', url, { username: 'alice', password: PASSWORD })).status).toBe(200)
  })

  it('X9 hashes nothing for clients that have gone away', async () => {
    const { gateways } = people
    const [{ url }] = gateways
    const body = JSON.stringify({ username: 'gone', password: OTHER })
    const idle = cpuSeconds(gateways[0])
    for (let times = 0; times < 2; times += 1)
      expect((await loginFrom('127.0.9.4', url, { username: 'one', password: OTHER })).status).toBe(401)
    const before = cpuSeconds(gateways[0])
    const oneHash = (before - idle) / 2
    const gone = new AbortController()
    const flood = Array.from({ length: 30 }, () =>
      fetch(`${url}/api/v1/auth/login`, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
        signal: gone.signal,
      }).catch(() => undefined),
    )
    // One that is answered is behind the first of them.
    const answered = loginFrom('127.0.9.3', url, { username: 'alice', password: PASSWORD })
    await new Promise((resolve) => setTimeout(resolve, 50))
    gone.abort()
    await Promise.all(flood)
    expect((await answered).status).toBe(200)
    expect((await loginFrom('127.0.9.3', url, { username: 'alice', password: PASSWORD })).status).toBe(200)
    expect(cpuSeconds(gateways[0]) - before).toBeLessThan(15 * oneHash)
  })
})
