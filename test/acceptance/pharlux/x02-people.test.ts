import { stat, readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, type Answer, type Serving } from '../../support/postern.ts'
import { configuration, openRoom, type Room } from '../pgedge/room.ts'

const PASSWORD = 'correct horse battery staple'
const OTHER = 'another horse battery staple'

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
})
