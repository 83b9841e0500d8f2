import { stat, readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, type Answer, type Serving } from '../../support/postern.ts'
import { soon } from '../../support/soon.ts'
import { configuration, openRoom, type Room } from '../pgedge/room.ts'

const PASSWORD = 'correct horse battery staple'
const OTHER = 'another horse battery staple'
const UNKNOWN_ID = '01938a6c-0000-7000-8000-000000000000'

let room: Room
let gateway: Serving
let admin: string

beforeAll(async () => {
  room = await openRoom({
    // The cheapest that is let through: what hashes cost is measured elsewhere.
    'postern.yaml': configuration({ auth: { argon2: { memoryKb: 8_192, timeCost: 1 } } }),
  })
  gateway = await room.serve()
  await add('alice', '--admin')
  admin = await tokenOf('alice')
})

afterAll(() => room?.close())

interface UserDocument {
  readonly id: string
  readonly username: string
  readonly tenant_id: string
}

/** `postern user add`, the password on standard input. */
async function add(username: string, ...options: readonly string[]): Promise<UserDocument> {
  const said = await room.run(
    ['user', 'add', '--username', username, '--password-stdin', '--json', ...options],
    `${PASSWORD}\n`,
  )
  if (said.code !== 0) throw new Error(said.stdout + said.stderr)
  return JSON.parse(said.stdout) as UserDocument
}

const login = (username: string, password = PASSWORD, more: Record<string, unknown> = {}): Promise<Answer> =>
  ask(`${gateway.url}/api/v1/auth/login`, null, { json: { username, password, ...more } })

async function tokenOf(username: string, password = PASSWORD): Promise<string> {
  const { status, body } = await login(username, password)
  if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`)
  return (body as { token: string }).token
}

const api = (path: string, token: string, more: Parameters<typeof ask>[2] = {}): Promise<Answer> =>
  ask(`${gateway.url}/api/v1${path}`, token, more)

const statusOf = async (token: string): Promise<number> => (await api('/auth/me', token)).status

describe('the command line', () => {
  it('X2 adds, lists, resets and deletes while the server runs', async () => {
    const bob = await add('Bob', '--role', 'writer', '--email', 'bob@example.com')
    expect(bob).toMatchObject({ username: 'bob', tenant_id: 'default', role: 'writer', admin: false })
    const token = await tokenOf('bob@example.com')
    expect((await api('/auth/me', token)).body).toMatchObject({ username: 'bob', level: 'read-write' })

    const listed = JSON.parse((await room.run(['user', 'list', '--json'])).stdout) as UserDocument[]
    expect(listed.map(({ username }) => username)).toContain('bob')

    const reset = await room.run(['user', 'reset-password', '--username', 'bob', '--password-stdin'], OTHER)
    expect(reset).toMatchObject({ code: 0, stdout: expect.stringContaining('new password') as string })
    expect(await statusOf(token)).toBe(401)
    expect((await login('bob')).status).toBe(401)
    const again = await tokenOf('bob', OTHER)

    const removed = await room.run(['user', 'delete', '--user-id', bob.id])
    expect(removed.code).toBe(0)
    expect(await statusOf(again)).toBe(401)
    expect((await login('bob', OTHER)).status).toBe(401)
    expect((await room.run(['user', 'delete', '--user-id', bob.id])).code).toBe(1)
  })

  it('X2 makes tenants, and lists the users of one', async () => {
    expect((await room.run(['tenant', 'add', 'north'])).code).toBe(0)
    expect((await room.run(['tenant', 'add', 'north'])).code).toBe(1)
    expect((await room.run(['tenant', 'add', 'No Such!'])).code).toBe(1)
    await add('nora', '--tenant', 'north', '--admin')
    await add('south-admin', '--tenant', 'south')
    const tenants = JSON.parse((await room.run(['tenant', 'list', '--json'])).stdout) as {
      tenant_id: string
    }[]
    expect(tenants.map((one) => one.tenant_id)).toEqual(['default', 'north', 'south'])
    const north = JSON.parse(
      (await room.run(['user', 'list', '--tenant', 'north', '--json'])).stdout,
    ) as UserDocument[]
    expect(north.map(({ username }) => username)).toEqual(['nora'])
  })

  it('X2 shows help, and says what is wrong', async () => {
    const help = await room.run(['user', 'help'])
    expect(help.code).toBe(0)
    for (const verb of ['add', 'list', 'delete', 'reset-password'])
      expect(help.stdout).toContain(`user ${verb}`)
    expect((await room.run(['user', 'add'])).code).toBe(2)
    expect((await room.run(['user', 'add', '--username', 'x', '--admin', '--role', 'reader'])).code).toBe(2)
    expect((await room.run(['user', 'add', '--username', 'nobody1'])).stderr).toContain('--password-stdin')
    const weak = await room.run(['user', 'add', '--username', 'weak', '--password', 'short'])
    expect([weak.code, weak.stderr]).toEqual([1, expect.stringContaining('at least 12 bytes') as string])
    const taken = await room.run(['user', 'add', '--username', 'ALICE', '--password-stdin'], PASSWORD)
    expect([taken.code, taken.stderr]).toEqual([1, expect.stringContaining('"alice" is taken') as string])
    expect(
      (await room.run(['user', 'reset-password', '--username', 'nobody', '--password-stdin'], OTHER)).code,
    ).toBe(1)
  })
})

describe('signing in', () => {
  it('X3 answers with a token and its seconds, and with nothing else', async () => {
    const { status, body } = await login('alice')
    expect(status).toBe(200)
    expect(body).toEqual({ token: expect.stringMatching(/^eyJ/) as string, expires_in: 3_600 })
    const by = await ask(`${gateway.url}/api/v1/auth/login`, null, {
      json: { email: 'alice', password: PASSWORD },
    })
    expect(by.status).toBe(200)
  })

  it('X3 says the same whatever is wrong, with a challenge', async () => {
    const answers = [
      await login('alice', OTHER),
      await login('nobody-at-all', OTHER),
      await login('alice', PASSWORD, { tenant_id: 'elsewhere' }),
    ]
    const without = answers.map(({ body }) => ({ ...(body as object), request_id: '' }))
    expect(new Set(without.map((body) => JSON.stringify(body))).size).toBe(1)
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401])
    expect(answers[0]).toMatchObject({ body: { error: 'unauthorized', code: 'login_failed' } })
    expect(answers[0]?.headers.get('www-authenticate')).toMatch(/^Bearer /)
  })

  it.each([
    [{}, 400],
    [{ username: 'alice' }, 400],
    [{ username: 'alice', password: '' }, 400],
    [{ username: ['alice'], password: PASSWORD }, 400],
    [{ username: 'alice', password: { $ne: '' } }, 400],
    [{ username: 'alice', email: 'alice', password: PASSWORD }, 400],
    [{ username: 'alice', password: PASSWORD, admin: true }, 400],
    [{ username: 'alice', password: 'x'.repeat(1_025) }, 400],
    [{ username: 'alice', password: 'x'.repeat(1_000_000) }, 413],
  ])('X3 refuses %o', async (json, status) => {
    expect((await ask(`${gateway.url}/api/v1/auth/login`, null, { json })).status).toBe(status)
  })

  it('X4 has made the secret, with a warning that does not hold it', async () => {
    const file = room.path('.postern/jwt.secret')
    const { mode, size } = await stat(file)
    expect([mode & 0o777, size]).toEqual([0o600, 64])
    expect(gateway.stderr()).toContain('made the JWT secret')
    const secret = await readFile(file)
    for (const form of ['base64', 'hex', 'base64url'] as const) {
      expect(gateway.stderr()).not.toContain(secret.toString(form))
    }
  })

  it('X6 ends with signing out, and with it what was opened', async () => {
    const [one, other] = [await tokenOf('alice'), await tokenOf('alice')]
    expect((await api('/auth/logout', one, { method: 'POST' })).status).toBe(204)
    expect(await statusOf(one)).toBe(401)
    expect(await statusOf(other)).toBe(200)
    const token = await api('/auth/logout', gateway.token ?? '', { method: 'POST' })
    expect([token.status, (token.body as { code: string }).code]).toEqual([409, 'conflict'])
  })
})

describe('administration over HTTP', () => {
  it('X5 makes, lists and deletes users of the own tenant', async () => {
    const made = await api('/admin/users', admin, {
      json: { username: 'dave', password: PASSWORD, admin: false },
    })
    expect(made).toMatchObject({
      status: 201,
      body: { user_id: expect.any(String) as string, username: 'dave', tenant_id: 'default', admin: false },
    })
    const again = await api('/admin/users', admin, { json: { username: 'Dave', password: PASSWORD } })
    expect([again.status, (again.body as { rule: string }).rule]).toEqual([400, 'user.name_taken'])
    const { users } = (await api('/admin/users', admin)).body as { users: readonly UserDocument[] }
    expect(users.find(({ username }) => username === 'dave')).toMatchObject({
      tenant_id: 'default',
      admin: false,
      created_at: expect.any(Number) as number,
    })
    expect(new Set(users.map((one) => one.tenant_id))).toEqual(new Set(['default']))
    const token = await tokenOf('dave')
    expect((await api('/admin/users', token)).status).toBe(403)
    const { user_id: id } = made.body as { user_id: string }
    const gone = await api(`/admin/users/${id}`, admin, { method: 'DELETE' })
    expect([gone.status, gone.body]).toEqual([204, ''])
    expect(await statusOf(token)).toBe(401)
    expect((await api(`/admin/users/${id}`, admin, { method: 'DELETE' })).status).toBe(404)
  })

  it('X5 refuses to delete oneself', async () => {
    const { body } = await api('/auth/me', admin)
    const { user_id: id } = body as { user_id: string }
    expect((await api(`/admin/users/${id}`, admin, { method: 'DELETE' })).status).toBe(400)
    expect(await statusOf(admin)).toBe(200)
  })

  it('X6 another role or password ends the tokens of the user at once', async () => {
    const { id } = await add('erin')
    for (const json of [{ role: 'writer' }, { password: OTHER }, { disabled: true }]) {
      const token = await tokenOf('erin')
      expect((await api(`/admin/users/${id}`, admin, { method: 'PATCH', json })).status).toBe(200)
      expect(await statusOf(token)).toBe(401)
      if ('password' in json)
        await api(`/admin/users/${id}`, admin, { method: 'PATCH', json: { password: PASSWORD } })
    }
    expect((await login('erin')).status).toBe(401)
  })

  it('X5 keeps tenants apart, whoever asks', async () => {
    const made = await api('/admin/tenants', admin, {
      json: { tenant_id: 'acme', username: 'acme-admin', password: PASSWORD },
    })
    expect(made).toMatchObject({
      status: 201,
      body: { username: 'acme-admin', tenant_id: 'acme', admin: true },
    })
    const twice = await api('/admin/tenants', admin, {
      json: { tenant_id: 'acme', username: 'second-admin', password: PASSWORD },
    })
    expect(twice.status).toBe(409)
    const theirs = await tokenOf('acme-admin')
    const { user_id: theirId } = made.body as { user_id: string }
    const { id: ours } = await add('frank')

    // Nothing tells one of another tenant from one who does not exist.
    const answers = [ours, UNKNOWN_ID].map((id) => api(`/admin/users/${id}`, theirs, { method: 'DELETE' }))
    const bodies = (await Promise.all(answers)).map(({ status, body }) => [
      status,
      { ...(body as object), request_id: '' },
    ])
    expect(bodies[0]).toEqual(bodies[1])
    expect(bodies[0]?.[0]).toBe(404)
    expect((await api(`/admin/users/${theirId}`, admin, { method: 'DELETE' })).status).toBe(404)

    const { users } = (await api('/admin/users', theirs)).body as { users: readonly UserDocument[] }
    expect(users.map(({ username }) => username)).toEqual(['acme-admin'])
    expect((await api('/admin/tenants', theirs)).body).toMatchObject({ tenants: [{ tenant_id: 'acme' }] })
    for (const answer of [
      await api('/admin/users?tenant_id=default', theirs),
      await api('/admin/users', theirs, {
        json: { username: 'spy', password: PASSWORD, tenant_id: 'default' },
      }),
      await api('/admin/tenants', theirs, {
        json: { tenant_id: 'new', username: 'x-admin', password: PASSWORD },
      }),
    ]) {
      expect([answer.status, (answer.body as { code: string }).code]).toEqual([403, 'tenant_not_allowed'])
    }
    // Those who run the gateway say whom they mean.
    expect((await api(`/admin/users/${theirId}?tenant_id=acme`, admin, { method: 'DELETE' })).status).toBe(
      204,
    )
    expect(await statusOf(theirs)).toBe(401)
  })

  it('X5 of two administrators who delete each other at once, one wins', async () => {
    const [one, two] = [await add('first-of-two', '--admin'), await add('second-of-two', '--admin')]
    const [tokenOne, tokenTwo] = [await tokenOf('first-of-two'), await tokenOf('second-of-two')]
    const answers = await Promise.all([
      api(`/admin/users/${two.id}`, tokenOne, { method: 'DELETE' }),
      api(`/admin/users/${one.id}`, tokenTwo, { method: 'DELETE' }),
    ])
    expect(answers.filter(({ status }) => status === 204)).toHaveLength(1)
    const { users } = (await api('/admin/users', admin)).body as { users: readonly UserDocument[] }
    expect(users.filter(({ username }) => username.endsWith('-of-two'))).toHaveLength(1)
  })
})

describe('the record', () => {
  it('X10 has every sign-in and every act, and no password', async () => {
    await login('alice', 'a wrong password that nobody has')
    const actions = async (): Promise<readonly string[]> => {
      const { body } = await api('/admin/audit?limit=500', admin)
      return (body as { entries: { tool?: string; outcome: string }[] }).entries.map(
        ({ tool, outcome }) => `${tool} ${outcome}`,
      )
    }
    await soon(async () => (await actions()).includes('auth.login refuse')).toBe(true)
    const found = new Set(await actions())
    for (const one of [
      'auth.login allow',
      'auth.logout done',
      'user.add done',
      'user.add refuse',
      'user.delete done',
      'user.change done',
      'user.reset_password done',
      'tenant.add done',
    ]) {
      expect(found).toContain(one)
    }
    const { body } = await api('/admin/audit?limit=500', admin)
    const everything = JSON.stringify(body) + gateway.stderr() + gateway.stdout()
    for (const text of [PASSWORD, OTHER, 'a wrong password', 'argon2id', admin])
      expect(everything).not.toContain(text)
  })

  it('X10 slows down whoever guesses, with Retry-After', async () => {
    const statuses: number[] = []
    for (let at = 0; at < 7; at += 1) statuses.push((await login('guessed', OTHER)).status)
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429, 429])
    const refused = await login('guessed', OTHER)
    expect(refused.body).toMatchObject({ code: 'too_many_requests', rule: 'login.account' })
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    // Nobody else pays for it.
    expect((await login('alice')).status).toBe(200)
  })
})
