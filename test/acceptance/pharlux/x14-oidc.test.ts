import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { BrowserJar } from '../../support/browser-jar.ts'
import { CLIENT_SECRET, type RunningProvider, startProvider } from '../../support/oidc-provider/start.ts'
import { ask, type Answer, type Serving } from '../../support/postern.ts'
import { signIn, type SignInAnswer, signInUpToCallback, visitCallback } from '../../support/sign-in.ts'
import { configuration, logOf, openRoom, type Room, ROOT } from '../pgedge/room.ts'

const PASSWORD = 'correct horse battery staple'

let provider: RunningProvider
let room: Room
let gateway: Serving

const shared = {
  clientId: 'postern',
  clientSecret: CLIENT_SECRET,
  roles: { admin: ['postern-admins'], writer: ['analysts'], reader: ['staff'] },
  tenants: { default: ['here'], acme: ['acme-staff'], later: ['later-staff'] },
}

beforeAll(async () => {
  provider = await startProvider()
  room = await openRoom({
    'postern.yaml': configuration({
      auth: {
        tokens: { root: { value: ROOT, level: 'admin' } },
        argon2: { memoryKb: 8_192, timeCost: 1 },
        oidc: {
          company: { ...shared, title: 'Company login', issuer: provider.issuer },
          public: {
            issuer: provider.issuer,
            clientId: 'postern-public',
            roles: { reader: ['staff'] },
            tenantClaim: 'organization',
            createTenants: true,
            requireVerifiedEmail: true,
          },
        },
      },
    }),
  })
  await room.document(['tenant', 'add', 'acme'])
  gateway = await room.serve()
})

afterAll(async () => {
  await room?.close()
  await provider?.close()
})

const start = (name = 'company'): string => `${gateway.url}/api/v1/auth/oidc/${name}`

/** What the provider says of somebody from now on; the login is the subject. */
const person = (login: string, claims: Readonly<Record<string, unknown>>): Promise<void> =>
  provider.setAccounts({ [login]: { sub: `sub-${login}`, claims: { preferred_username: login, ...claims } } })

const me = (token: string | undefined): Promise<Answer> => ask(`${gateway.url}/api/v1/auth/me`, token ?? '')

async function tokenOf(login: string, name = 'company'): Promise<string> {
  const { status, text, json } = await signIn(start(name), login)
  if (status !== 200 || json.token === undefined) throw new Error(`${status} ${text}`)
  return json.token
}

const refusalOf = ({ status, json }: SignInAnswer) => ({ status, code: json.code, rule: json.rule })

describe('sign-in with a provider', () => {
  it('OIDC lists the providers', async () => {
    const { status, body } = await ask(`${gateway.url}/api/v1/auth/oidc`, null)
    expect(status).toBe(200)
    expect(body).toEqual({
      providers: [
        { name: 'company', title: 'Company login', start: start() },
        { name: 'public', title: 'public', start: start('public') },
      ],
    })
  })

  it('OIDC a person signs in, and is a user with the role and the tenant of the groups', async () => {
    await person('anna', { groups: ['staff', 'acme-staff'], email: 'Anna@Example.com', email_verified: true })
    const { status, json, headers } = await signIn(start(), 'anna')
    expect([status, json]).toEqual([200, { token: expect.any(String) as string, expires_in: 3_600 }])
    expect(headers.get('cache-control')).toBe('no-store')
    expect((await me(json.token)).body).toMatchObject({
      username: 'anna',
      email: 'anna@example.com',
      tenant_id: 'acme',
      level: 'read-only',
      credential: { kind: 'jwt' },
    })
  })

  it('OIDC a browser is shown a page with the token, once', async () => {
    await person('berta', { groups: ['staff', 'here'] })
    const { callback, jar } = await signInUpToCallback(`${start()}?return_to=/console/tools%3Fa=1`, 'berta')
    const first = await visitCallback(callback, jar, 'text/html,application/xhtml+xml')
    expect([first.status, first.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
    expect(first.text).toContain('You are signed in as berta')
    expect(first.text).toContain('href="/console/tools?a=1"')
    const token = /<code id="token"[^>]*>([^<]+)</.exec(first.text)?.[1]
    expect((await me(token)).status).toBe(200)
    const policy = first.headers.get('content-security-policy') ?? ''
    expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[^']+'; script-src 'sha256-[^']+'/)
    expect(policy).toContain("frame-ancestors 'none'")
    expect(first.headers.get('referrer-policy')).toBe('no-referrer')
    expect(first.text).not.toMatch(/(?:src|href)="(?:https?:)?\/\//)
    const second = await visitCallback(callback, jar, 'text/html')
    expect([second.status, second.text]).toEqual([400, expect.stringContaining('oidc.browser') as string])
    expect(second.text).not.toContain(token)
  })

  it('OIDC several tabs of one browser sign in side by side', async () => {
    await person('carl', { groups: ['staff', 'here'] })
    const jar = new BrowserJar()
    const first = await jar.visit(start())
    const second = await jar.visit(start())
    const state = (answer: Response): string =>
      new URL(answer.headers.get('location') ?? '').searchParams.get('state') ?? ''
    expect(state(first)).not.toBe(state(second))
    for (const answer of [second, first]) {
      const { callback } = await signInUpToCallback(answer.headers.get('location') ?? '', 'carl', jar)
      expect((await visitCallback(callback, jar)).status).toBe(200)
    }
  })

  it('OIDC a public client signs in, into a tenant that is made for it', async () => {
    await person('dora', {
      groups: ['staff'],
      organization: 'new-org',
      email: 'dora@example.com',
      email_verified: true,
    })
    expect((await me(await tokenOf('dora', 'public'))).body).toMatchObject({ tenant_id: 'new-org' })
    await person('dirk', { groups: ['staff'], organization: 'new-org', email: 'dirk@example.com' })
    expect(refusalOf(await signIn(start('public'), 'dirk'))).toEqual({
      status: 403,
      code: 'sign_in_refused',
      rule: 'oidc.email',
    })
  })

  it('OIDC whoever is in no group stays outside, and so does who belongs to no tenant or to several', async () => {
    for (const [groups, rule] of [
      [[], 'oidc.role'],
      [['strangers'], 'oidc.role'],
      [['postern-admins'], 'oidc.tenant'],
      [['staff', 'here', 'acme-staff'], 'oidc.tenant'],
      [['staff', 'later-staff'], 'oidc.tenant_unknown'],
    ] as const) {
      await person('emil', { groups })
      expect(refusalOf(await signIn(start(), 'emil'))).toEqual({ status: 403, code: 'sign_in_refused', rule })
    }
    const users = await room.document<{ username: string }[]>(['user', 'list'])
    expect(users.map(({ username }) => username)).not.toContain('emil')
  })

  it('OIDC every sign-in refreshes the role and the tenant, and ends what was opened before', async () => {
    await person('frida', { groups: ['staff', 'here'] })
    const reader = await tokenOf('frida')
    const same = await tokenOf('frida')
    expect((await me(reader)).status).toBe(200)
    await person('frida', { groups: ['postern-admins', 'here'] })
    const admin = await tokenOf('frida')
    expect((await me(admin)).body).toMatchObject({ level: 'admin', tenant_id: 'default' })
    expect([(await me(reader)).status, (await me(same)).status]).toEqual([401, 401])
    await person('frida', { groups: ['analysts', 'acme-staff'] })
    const moved = await tokenOf('frida')
    expect((await me(moved)).body).toMatchObject({ level: 'read-write', tenant_id: 'acme' })
    expect((await me(admin)).status).toBe(401)
    await person('frida', { groups: [] })
    expect(refusalOf(await signIn(start(), 'frida'))).toMatchObject({ rule: 'oidc.role' })
    expect((await me(moved)).status).toBe(401)
  })

  it('OIDC a name that is taken is not taken over, until an administrator links it', async () => {
    const added = await room.run(['user', 'add', '--username', 'gerd', '--password-stdin'], PASSWORD)
    expect(added.code).toBe(0)
    await person('gerd', { groups: ['staff', 'here'], email: 'gerd@example.com', email_verified: true })
    const refused = await signIn(start(), 'gerd')
    expect(refusalOf(refused)).toEqual({ status: 403, code: 'sign_in_refused', rule: 'oidc.name_taken' })
    expect(refused.json.allowed).toContain(
      'postern user link --username gerd --tenant default --provider company --subject sub-gerd',
    )
    const login = (): Promise<Answer> =>
      ask(`${gateway.url}/api/v1/auth/login`, null, { json: { username: 'gerd', password: PASSWORD } })
    const before = ((await login()).body as { token: string }).token

    const link = ['user', 'link', '--username', 'gerd', '--provider', 'company', '--subject', 'sub-gerd']
    expect((await room.run(link)).code).toBe(0)
    expect((await me(before)).status).toBe(401)
    // One way in: the one that the company can close.
    expect((await login()).status).toBe(401)
    expect((await me(await tokenOf('gerd'))).body).toMatchObject({ username: 'gerd', level: 'read-only' })
    const reset = await room.run(
      ['user', 'reset-password', '--username', 'gerd', '--password-stdin'],
      PASSWORD,
    )
    expect([reset.code, reset.stderr]).toEqual([
      1,
      expect.stringContaining('signs in with a provider') as string,
    ])
    const links = await room.document<{ username: string; subject: string }[]>(['user', 'links'])
    expect(links).toContainEqual(expect.objectContaining({ username: 'gerd', subject: 'sub-gerd' }))
  })

  it('OIDC a disabled user stays out, and a deleted one until an administrator lets the account in anew', async () => {
    await person('hans', { groups: ['staff', 'here'] })
    const token = await tokenOf('hans')
    const id = ((await me(token)).body as { user_id: string }).user_id
    const change = (disabled: boolean): Promise<Answer> =>
      ask(`${gateway.url}/api/v1/admin/users/${id}`, ROOT, { method: 'PATCH', json: { disabled } })
    expect((await change(true)).status).toBe(200)
    expect(refusalOf(await signIn(start(), 'hans'))).toMatchObject({ status: 403, rule: 'oidc.disabled' })
    expect((await me(token)).status).toBe(401)
    expect((await change(false)).status).toBe(200)
    expect((await me(await tokenOf('hans'))).status).toBe(200)
    expect((await room.run(['user', 'delete', '--user-id', id])).code).toBe(0)
    expect(refusalOf(await signIn(start(), 'hans'))).toMatchObject({ status: 403, rule: 'oidc.deleted' })
    expect((await room.run(['user', 'unlink', '--provider', 'company', '--subject', 'sub-hans'])).code).toBe(
      0,
    )
    const again = await me(await tokenOf('hans'))
    expect(again.body).toMatchObject({ username: 'hans' })
    expect((again.body as { user_id: string }).user_id).not.toBe(id)
  })

  it('OIDC a user of a provider has no password, and trying one costs the same', async () => {
    await person('ida', { groups: ['staff', 'here'] })
    await tokenOf('ida')
    for (const password of ['', ' ', PASSWORD]) {
      const { status, body } = await ask(`${gateway.url}/api/v1/auth/login`, null, {
        json: { username: 'ida', password },
      })
      expect([400, 401]).toContain(status)
      expect(body).not.toHaveProperty('token')
    }
  })

  it('OIDC what was allowed and what was refused is in the record, and no secret is in the log', async () => {
    await person('jana', { groups: ['staff', 'here'] })
    const token = await tokenOf('jana')
    await person('jana', { groups: [] })
    await signIn(start(), 'jana')
    const entries = await room.document<{ entries: { outcome: string; target: string; rule?: string }[] }>([
      'audit',
      'search',
      '--tool',
      'auth.oidc',
    ])
    expect(JSON.stringify(entries)).toContain('oidc.role')
    expect(JSON.stringify(entries)).toContain('"allow"')
    const log = JSON.stringify(logOf(gateway)) + JSON.stringify(entries)
    for (const secret of [token, CLIENT_SECRET, 'code=', 'state=']) expect(log).not.toContain(secret)
  })

  it('OIDC a provider that is not there is a calm 404, and a person who does not want to is told so', async () => {
    const jar = new BrowserJar()
    const missing = await jar.visit(start('nobody'))
    expect([missing.status, missing.headers.get('content-type')]).toEqual([404, 'text/html; charset=utf-8'])
    const denied = await signIn(start(), 'somebody-unknown-there')
    expect(refusalOf(denied)).toEqual({ status: 400, code: 'sign_in_failed', rule: 'oidc.denied' })
    expect(denied.json.message).toBe('the provider answered with access_denied')
  })
})
