import { createHmac, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { OidcProvider } from '../../src/identity/oidc/provider.ts'
import type { SignedIn } from '../../src/identity/oidc/sign-in.ts'
import type { People } from '../../src/identity/open-people.ts'
import type { UserRefusal } from '../../src/identity/users/user-refusal.ts'
import { Fault } from '../../src/lib/fault.ts'
import { Secret } from '../../src/lib/secret.ts'
import type { Result } from '../../src/lib/result.ts'
import { manualClock, type ManualClock } from '../support/clock.ts'
import { openTestIdentity, temporaryDirectory, type TestIdentity } from '../support/identity.ts'
import { type RogueProvider, startRogueProvider } from '../support/rogue-provider.ts'
import { soon } from '../support/soon.ts'

const CLIENT = 'postern'
const CLIENT_SECRET = 'a-secret-of-the-registration'
const ADDRESS = '192.0.2.7'
const MINUTE_MS = 60_000

let scratch: Awaited<ReturnType<typeof temporaryDirectory>>
let rogue: RogueProvider
let clock: ManualClock
let key: Buffer
let here: TestIdentity
let count = 0
let opened: TestIdentity[] = []

beforeAll(async () => {
  scratch = await temporaryDirectory()
  rogue = await startRogueProvider(CLIENT)
})

afterAll(async () => {
  await rogue?.close()
  await scratch?.remove()
})

beforeEach(async () => {
  rogue.reset()
  clock = manualClock()
  key = randomBytes(32)
  count += 1
  here = await replica()
})

afterEach(async () => {
  for (const one of opened) await one.close()
  opened = []
})

const providerOf = (name: string, change: Partial<OidcProvider> = {}): OidcProvider => ({
  name,
  title: name,
  issuer: rogue.issuer,
  clientId: CLIENT,
  clientSecret: new Secret(CLIENT_SECRET),
  scopes: ['openid'],
  usernameClaim: 'preferred_username',
  emailClaim: 'email',
  groupsClaim: 'groups',
  requireVerifiedEmail: false,
  roles: { admin: ['admins'], writer: [], reader: ['staff'] },
  tenants: [],
  tenantClaim: null,
  createTenants: false,
  timeoutMs: 10_000,
  ...change,
})

/** One of several processes on the same store. */
async function replica(change: Partial<OidcProvider> = {}): Promise<TestIdentity> {
  const file = join(scratch.path, `${count}.db`)
  const one = await openTestIdentity({ kind: 'sqlite', file }, clock, {
    people: {
      jwt: {
        secretFile: join(scratch.path, `${count}.secret`),
        namespace: 'postern',
        issuer: 'postern',
        audience: 'postern',
        ttlSeconds: 3_600,
      },
      argon2: { memoryKb: 64, timeCost: 1, parallelism: 1 },
      passwords: { minBytes: 12, refuseCommon: true },
      oidc: { providers: [providerOf('company', change), providerOf('other', change)], key },
    },
  })
  opened.push(one)
  return one
}

const peopleOf = ({ identity }: TestIdentity): People => {
  if (!identity.people) throw new Error('nobody signs in')
  return identity.people
}

/** A sign-in as the browser that began it has it. */
interface UnderWay {
  readonly state: string
  readonly nonce: string
  readonly kept: ReadonlyMap<string, string>
}

const uriOf = (provider: string): string => `http://127.0.0.1:8080/api/v1/auth/oidc/${provider}/callback`

async function begin(provider = 'company', at = here, address = ADDRESS): Promise<UnderWay> {
  const begun = await peopleOf(at).signIn.begin(provider, {
    address,
    redirectUri: uriOf(provider),
    returnTo: null,
  })
  if (!begun.ok) throw new Error(begun.error.rule)
  const { searchParams } = new URL(begun.value.location)
  expect(searchParams.get('code_challenge_method')).toBe('S256')
  const nonce = searchParams.get('nonce') ?? ''
  rogue.now = { nonce, seconds: Math.floor(clock.now() / 1_000) }
  return {
    state: searchParams.get('state') ?? '',
    nonce,
    kept: new Map([[begun.value.id, begun.value.sealed]]),
  }
}

interface Answered {
  readonly state?: string | null
  readonly iss?: string | null
  readonly error?: string | null
  readonly provider?: string
  readonly at?: TestIdentity
  readonly kept?: ReadonlyMap<string, string>
}

async function end(under: UnderWay, change: Answered = {}): Promise<Result<SignedIn, UserRefusal>> {
  const { provider = 'company', at = here, kept = under.kept } = change
  return await peopleOf(at).signIn.complete(provider, {
    address: ADDRESS,
    redirectUri: uriOf(provider),
    answer: { code: 'a-code', iss: null, error: null, state: under.state, ...change },
    sealedOf: (id) => kept.get(id),
  })
}

/** `signed in`, or the rule that refused, or the code of the fault. */
async function outcome(work: Promise<Result<unknown, UserRefusal>>): Promise<string> {
  try {
    const answer = await work
    return answer.ok ? 'signed in' : answer.error.rule
  } catch (error) {
    if (error instanceof Fault) return error.code
    throw error
  }
}

const whole = async (change: Answered = {}): Promise<string> => await outcome(end(await begin(), change))

/** Of the beginning alone. */
const beginning = async (): Promise<string> =>
  await outcome(begin().then(() => ({ ok: true, value: null }) as const))

const now = (): number => Math.floor(clock.now() / 1_000)

it('lets the unchanged answer in: otherwise nothing below would show anything', async () => {
  expect(await whole()).toBe('signed in')
})

describe('the ID token', () => {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = (nonce: string) => ({
    iss: rogue.issuer,
    aud: CLIENT,
    sub: 'somebody',
    nonce,
    iat: now(),
    exp: now() + 300,
    preferred_username: 'somebody',
    groups: ['admins'],
  })

  it('without a signature is refused, also where the provider says that it makes such', async () => {
    for (const alg of ['none', 'None', 'NONE']) {
      const under = await begin()
      rogue.behaviour.idToken = `${part({ alg })}.${part(claims(under.nonce))}.`
      expect(await outcome(end(under)), alg).toBe('oidc.id_token')
    }
  })

  it('signed with the secret of the client, or its public key as a secret, is refused', async () => {
    const jwks = await (await fetch(`${rogue.issuer}jwks`)).text()
    for (const secret of [CLIENT_SECRET, jwks]) {
      const under = await begin()
      const text = `${part({ alg: 'HS256' })}.${part(claims(under.nonce))}`
      rogue.behaviour.idToken = `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
      expect(await outcome(end(under))).toBe('oidc.id_token')
    }
  })

  it('signed with a key that is not among the keys of the provider is refused', async () => {
    rogue.behaviour.strangeKey = true
    expect(await whole()).toBe('oidc.id_token')
    rogue.behaviour.header = { kid: '../../keys', jku: 'http://127.0.0.1:9/', jwk: { kty: 'oct', k: 'AA' } }
    expect(await whole()).toBe('oidc.id_token')
  })

  it.each([
    ['from another issuer', { iss: 'https://evil.example.com/' }, 'oidc.issuer'],
    ['for another client', { aud: 'another-client' }, 'oidc.audience'],
    ['for several clients', { aud: [CLIENT, 'another-client'] }, 'oidc.audience'],
    ['that another client asked for', { aud: [CLIENT, 'x'], azp: 'x' }, 'oidc.id_token'],
    ['whose azp is another client', { azp: 'another-client' }, 'oidc.audience'],
    ['without a nonce', { nonce: undefined }, 'oidc.id_token'],
    ['with the nonce of another sign-in', { nonce: 'another' }, 'oidc.nonce'],
    ['without a subject', { sub: undefined }, 'oidc.id_token'],
    ['without an end', { exp: undefined }, 'oidc.id_token'],
    ['whose groups are no list', { groups: { staff: true } }, 'oidc.claims'],
  ])('%s is refused', async (_, change, rule) => {
    rogue.behaviour.claims = change
    expect(await whole()).toBe(rule)
  })

  it.each([
    ['expired within the leeway', { exp: -59 }, 'signed in'],
    ['expired beyond it', { exp: -61 }, 'oidc.time'],
    ['made by a clock a little ahead', { iat: 59 }, 'signed in'],
    ['to be made', { iat: 62 }, 'oidc.time'],
    ['made before the sign-in began', { iat: -62 }, 'oidc.time'],
    ['valid later', { nbf: 62 }, 'oidc.time'],
  ])('%s: %o is %s', async (_, offsets, expected) => {
    rogue.behaviour.claims = Object.fromEntries(
      Object.entries(offsets).map(([name, offset]) => [name, now() + offset]),
    )
    expect(await whole()).toBe(expected)
  })

  it('that is missing, or is none, is refused', async () => {
    for (const given of [null, '', 'x', 'a.b.c', `${'e'.repeat(20_000)}.e.e`]) {
      rogue.behaviour.idToken = given
      expect(await whole(), String(given).slice(0, 10)).toMatch(
        /^(?:oidc\.(?:id_token|nonce)|provider_invalid)$/,
      )
    }
  })

  it('signed with a key that is new since the last sign-in is taken at once', async () => {
    expect(await whole()).toBe('signed in')
    expect(await whole()).toBe('signed in')
    expect(rogue.asked.filter((path) => path === '/jwks')).toHaveLength(1)
    await rogue.rotate()
    expect(await whole()).toBe('signed in')
    expect(rogue.asked.filter((path) => path === '/jwks')).toHaveLength(2)
  })
})

it('takes no userinfo of another subject', async () => {
  rogue.behaviour.claims = { groups: undefined }
  rogue.behaviour.userinfo = { groups: ['admins'], sub: 'an administrator' }
  expect(await whole()).toBe('oidc.userinfo')
  rogue.behaviour.userinfo = { groups: ['staff'], ok: false, preferred_username: 'somebody-else' }
  const ended = await end(await begin())
  // What is signed stands above what is not.
  expect(ended.ok && ended.value).toMatchObject({ username: 'somebody', role: 'reader' })
})

describe('the answer', () => {
  it('to a sign-in of another browser, or of none, is refused before the provider is asked', async () => {
    const mine = await begin()
    const victims = await begin()
    rogue.asked.length = 0
    expect(await outcome(end(mine, { kept: new Map() }))).toBe('oidc.browser')
    expect(await outcome(end(mine, { kept: victims.kept }))).toBe('oidc.browser')
    // Under the right name, but of another state.
    const [id] = mine.kept.keys()
    const [sealed] = victims.kept.values()
    expect(await outcome(end(mine, { kept: new Map([[id ?? '', sealed ?? '']]) }))).toBe('oidc.browser')
    for (const state of [null, '', 'x', `${mine.state}x`, 'a'.repeat(43)])
      expect(await outcome(end(mine, { state })), String(state)).toBe('oidc.browser')
    expect(rogue.asked).toEqual([])
  })

  it('cannot be forged, nor what the browser keeps of the sign-in', async () => {
    const under = await begin()
    const [[id, sealed] = ['', '']] = under.kept
    const forged = [
      '',
      'x',
      sealed.slice(0, -8),
      `${sealed.slice(0, 60)}${sealed[60] === 'A' ? 'B' : 'A'}${sealed.slice(61)}`,
      `s1.${'0'.repeat(16)}.${Buffer.from(JSON.stringify({ state: under.state })).toString('base64url')}`,
      'A'.repeat(10_000),
    ]
    for (const one of forged)
      expect(await outcome(end(under, { kept: new Map([[id, one]]) }))).toBe('oidc.browser')
  })

  it('is taken once, by whichever replica comes first', async () => {
    const elsewhere = await replica()
    const under = await begin()
    const outcomes = await Promise.all([
      outcome(end(under)),
      outcome(end(under, { at: elsewhere })),
      outcome(end(under)),
      outcome(end(under, { at: elsewhere })),
    ])
    expect(outcomes.toSorted()).toEqual(['oidc.used', 'oidc.used', 'oidc.used', 'signed in'])
    clock.jump(9 * MINUTE_MS)
    expect(await outcome(end(under))).toBe('oidc.used')
  })

  it('may be given to another replica than the one that began', async () => {
    const elsewhere = await replica()
    expect(await outcome(end(await begin(), { at: elsewhere }))).toBe('signed in')
  })

  it('is refused when it comes too late', async () => {
    const under = await begin()
    clock.jump(10 * MINUTE_MS + 1)
    expect(await outcome(end(under))).toBe('oidc.late')
  })

  it('of one provider does not pass for that of another (mix-up)', async () => {
    expect(await outcome(end(await begin('company'), { provider: 'other' }))).toBe('oidc.browser')
    expect(await whole({ iss: 'https://evil.example.com/' })).toBe('oidc.issuer')
    expect(await whole({ iss: rogue.issuer })).toBe('signed in')
  })

  it('must name its issuer where the provider always does (RFC 9207)', async () => {
    rogue.behaviour.discovery = { authorization_response_iss_parameter_supported: true }
    expect(await whole()).toBe('oidc.issuer')
    expect(await whole({ iss: rogue.issuer })).toBe('signed in')
  })

  it('repeats no word of the provider that is not one of the protocol', async () => {
    const ended = await end(await begin(), { error: '<script>alert(1)</script>' })
    expect(ended.ok ? '' : ended.error.message).toBe('the provider answered with an error')
  })
})

describe('a provider', () => {
  it.each([
    ['that names another issuer', { issuer: 'https://evil.example.com/' }],
    ['whose token endpoint is not https', { token_endpoint: 'http://tokens.example.com/' }],
    ['whose keys are at the address of the cloud', { jwks_uri: 'https://169.254.169.254/keys' }],
    ['whose keys are on this machine, in another spelling', { jwks_uri: 'file:///etc/passwd' }],
    ['that puts a password into an address', { token_endpoint: 'https://a:b@tokens.example.com/' }],
    ['that sends people to a script', { authorization_endpoint: 'javascript:alert(1)' }],
    ['without keys', { jwks_uri: undefined }],
    ['whose userinfo is no address', { userinfo_endpoint: 'x' }],
  ])('%s is not used', async (_, discovery) => {
    rogue.behaviour.discovery = discovery
    expect(await beginning()).toBe('provider_invalid')
  })

  const answers: readonly (readonly [string, RogueProvider['behaviour']['answer'], string])[] = [
    [
      'that redirects',
      (_, __, response) => {
        response.writeHead(302, { location: 'http://127.0.0.1:9/internal' }).end()
        return true
      },
      'provider_invalid',
    ],
    [
      'that sends garbage',
      (_, __, response) => {
        response.writeHead(200, { 'content-type': 'application/json' }).end('<html>')
        return true
      },
      'provider_invalid',
    ],
    [
      'that sends without end',
      (_, __, response) => {
        response.writeHead(200, { 'content-type': 'application/json' })
        const more = (): void => {
          if (!response.destroyed) response.write(Buffer.alloc(65_536, ' '), more)
        }
        more()
        return true
      },
      'provider_invalid',
    ],
    [
      'that fails',
      (_, __, response) => {
        response.writeHead(500).end()
        return true
      },
      'provider_invalid',
    ],
    [
      'that breaks the connection',
      (_, request) => {
        request.socket.destroy()
        return true
      },
      'provider_unavailable',
    ],
  ]

  it.each(answers)('%s is a fault, at the beginning and at the end', async (_, answer, code) => {
    const under = await begin()
    rogue.behaviour.answer = (path, ...rest) => path === '/token' && answer(path, ...rest)
    expect(await outcome(end(under))).toBe(code)
    here = await replica()
    rogue.behaviour.answer = answer
    expect(await beginning()).toBe(code)
  })

  it('that does not answer is given up in time', async () => {
    const under = await begin()
    rogue.behaviour.answer = (path) => path === '/token'
    const ended = outcome(end(under))
    await soon(() => rogue.asked.includes('/token')).toBe(true)
    clock.advance(10_000)
    expect(await ended).toBe('provider_unavailable')
  })

  it('that is away is not asked by everybody at once, and is found again', async () => {
    rogue.behaviour.answer = (_, request) => {
      request.socket.destroy()
      return true
    }
    const tried = beginning
    const outcomes = await Promise.all([tried(), tried(), tried()])
    expect(new Set([...outcomes, await tried()])).toEqual(new Set(['provider_unavailable']))
    expect(rogue.asked).toHaveLength(1)
    rogue.reset()
    clock.advance(5_001)
    expect(await whole()).toBe('signed in')
  })

  it('that goes away later is not missed as long as its documents are of today', async () => {
    expect(await whole()).toBe('signed in')
    clock.jump(2 * 60 * MINUTE_MS)
    rogue.behaviour.answer = (path, request) => {
      if (!path.includes('well-known')) return false
      request.socket.destroy()
      return true
    }
    expect(await whole()).toBe('signed in')
  })
})

describe('a flood', () => {
  it('of beginnings from one address is refused, and holds up nobody else', async () => {
    for (let at = 0; at < 60; at += 1) await begin()
    await expect(begin()).rejects.toThrow('oidc.begun')
    await expect(begin('company', here, '198.51.100.9')).resolves.toBeDefined()
    clock.advance(1_001)
    await expect(begin()).resolves.toBeDefined()
  })

  it('of failures from one address is refused without asking the provider', async () => {
    rogue.behaviour.claims = { groups: [] }
    for (let at = 0; at < 50; at += 1) {
      expect(await whole()).toBe('oidc.role')
    }
    const under = await begin('company', here, '198.51.100.9')
    rogue.asked.length = 0
    expect(await outcome(end(under))).toBe('oidc.failed')
    expect(rogue.asked).toEqual([])
  })
})
