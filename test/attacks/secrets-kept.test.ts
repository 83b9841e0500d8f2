import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openPeopleRoom, type PeopleRoom } from '../support/people-room.ts'
import { postern, type Finished } from '../support/postern.ts'
import { testPostgres } from '../support/postgres.ts'

const ADMIN_PASSWORD = 'Pw-Of-The-Database-Owner-71'
const FIRST = 'zebra-umbrella-first-password'
const SECOND = 'zebra-umbrella-second-password'
const THIRD = 'zebra-umbrella-third-password'
const WRONG = 'zebra-umbrella-wrong-password'

let people: PeopleRoom
let port: number
beforeAll(async () => {
  ;({ port } = await testPostgres())
  people = await openPeopleRoom('sqlite', {
    auth: { jwt: { algorithm: 'EdDSA' } },
    databases: [
      { name: 'shop', url: `postgres://reader:of-the-reader@127.0.0.1:${port}/nowhere?sslmode=disable` },
    ],
  })
})
afterAll(() => people?.close())

/** Every file below a folder, in bytes. */
function files(folder: string): readonly (readonly [name: string, bytes: Buffer])[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((name) => statSync(name).isFile())
    .map((name) => [name, readFileSync(name)] as const)
}

describe('the role that owns a database', () => {
  it('is named nowhere with its password, whatever is wrong with its address', async () => {
    const secret = `owner:${ADMIN_PASSWORD}`
    for (const url of [
      `postgres://${secret}@127.0.0.1:${port}/nowhere`,
      `postgres://${secret}@127.0.0.1:1/shop`,
      `postgres://${secret}@nowhere.invalid:5432/shop`,
      `postgres://${secret}@127.0.0.1:${port}/shop?sslmode=verify-full`,
      `postgres://${secret}@127.0.0.1:${port}/shop?sslmode=${ADMIN_PASSWORD}`,
      `postgres://${secret}@127.0.0.1:${port}/shop?${ADMIN_PASSWORD}=1`,
      `postgres://${secret}@one,two/shop`,
      `postgres://${secret}%ZZ@127.0.0.1/shop`,
      `postgres://${secret}@127.0.0.1:port/shop`,
      `postgres://${secret}`,
      `mysql://${secret}@127.0.0.1/shop`,
      ADMIN_PASSWORD,
      `host=127.0.0.1 user=owner password=${ADMIN_PASSWORD}`,
    ]) {
      for (const more of [[], ['--json'], ['--apply', '--yes']]) {
        const said = await postern(['database', 'protect', 'shop', ...more], {
          cwd: people.room.dir,
          env: { POSTERN_DATABASE_ADMIN_URL: url },
        })
        expect(said.code, url).toBe(1)
        expect(said.stdout + said.stderr, url).not.toContain(ADMIN_PASSWORD)
      }
    }
    for (const [name, bytes] of files(people.room.dir))
      expect(bytes.includes(ADMIN_PASSWORD), name).toBe(false)
  })
})

describe('what lets somebody in', () => {
  it('is in no file, no row, no log and no answer but the one that gives it', async () => {
    const { api, admin, login, room, run } = people
    const shown: string[] = []
    const said: Finished[] = []
    const note = async (answer: Promise<{ readonly body: unknown }>): Promise<unknown> => {
      const { body } = await answer
      shown.push(JSON.stringify(body))
      return body
    }
    const made = (await note(
      api('/admin/users', admin, { json: { username: 'dora', password: FIRST, role: 'reader' } }),
    )) as { id: string }
    await note(api('/admin/users', admin, { json: { username: 'dora', password: FIRST } }))
    await note(api('/admin/users', admin, { json: { username: FIRST, password: FIRST } }))
    await note(
      api('/admin/tenants', admin, { json: { tenant_id: `${FIRST}!`, username: 'x', password: FIRST } }),
    )
    await note(login('dora', WRONG))
    // Typed into the wrong field, or sent in a form that is refused.
    await note(login(WRONG, WRONG))
    await note(api('/auth/login', null, { json: { username: 'dora', password: WRONG, passwd: WRONG } }))
    await note(api('/auth/login', null, { json: { username: 'dora', password: [WRONG] } }))
    await note(api(`/auth/login?password=${WRONG}`, null, { json: { username: 'dora', password: WRONG } }))
    const jwt = ((await login('dora', FIRST)).body as { token: string }).token
    const { token: fresh } = (
      await api('/auth/password', jwt, { json: { current_password: FIRST, new_password: SECOND } })
    ).body as { token: string }
    await note(api('/auth/password', fresh, { json: { current_password: WRONG, new_password: THIRD } }))
    await note(api('/auth/me', jwt))
    await note(api('/auth/me', fresh))
    await note(api('/health', fresh))
    await note(api(`/admin/users/${made.id}`, fresh, { method: 'PATCH', json: { password: THIRD } }))
    await note(api(`/admin/users/${fresh}`, admin, { method: 'PATCH', json: { password: THIRD } }))
    await note(api(`/admin/users/${made.id}`, admin, { method: 'PATCH', json: { password: THIRD } }))
    await note(api(`/auth/oidc/${fresh}`, null))
    await note(api(`/auth/oidc/nobody/callback?code=${WRONG}&state=${WRONG}`, null))
    const last = ((await login('dora', THIRD)).body as { token: string }).token
    await note(api('/auth/logout', last, { method: 'POST' }))
    const issued = (
      (await api('/admin/tokens', admin, { json: { note: 'seen once' } })).body as {
        token: string
      }
    ).token
    said.push(await run(['user', 'reset-password', '--username', 'dora', '--password-stdin'], `${SECOND}\n`))
    said.push(await run(['user', 'add', '--username', 'dora', '--password-stdin'], `${SECOND}\n`))
    said.push(await run(['key-ring', 'rotate'], ''))
    said.push(await run(['backup', '--output', 'kept.db'], ''))
    said.push(await run(['token', 'list', '--json'], ''), await run(['user', 'list', '--json'], ''))
    await note(api('/admin/audit?limit=1000', people.admin))
    await note(api('/admin/users', admin))
    await note(api('/admin/tokens', admin))
    const keys = readFileSync(join(room.dir, '.postern', 'jwt.key'), 'utf8').replaceAll(
      /-----.*-----|\n/g,
      '',
    )
    const secrets = [FIRST, SECOND, THIRD, WRONG, jwt, fresh, last, issued, admin]
    // The signature is what cannot be made again; the rest of a JWT is no secret.
    const signatures = [jwt, fresh, last, admin].map((token) => token.split('.')[2] ?? '')
    const [gateway] = people.gateways
    const outputs = [...shown, ...said.flatMap(({ stdout, stderr }) => [stdout, stderr]), gateway.stderr()]
    expect(outputs.length).toBeGreaterThan(30)
    for (const secret of [...secrets, ...signatures, keys]) {
      for (const text of outputs)
        expect(text.includes(secret), `${secret} in ${text.slice(0, 300)}`).toBe(false)
      for (const [name, bytes] of files(room.dir).filter(([name]) => !name.endsWith('/jwt.key')))
        expect(bytes.includes(secret), `${secret} in ${name}`).toBe(false)
    }
    // Everything that was written is for its owner.
    for (const [name] of files(join(room.dir, '.postern'))) expect(statSync(name).mode & 0o077, name).toBe(0)
    expect(statSync(join(room.dir, 'kept.db')).mode & 0o777).toBe(0o600)
  })
})
