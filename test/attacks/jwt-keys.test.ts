import {
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ringFileOf } from '../../src/identity/jwt/read-keys.ts'
import { rotateKeys } from '../../src/identity/jwt/rotate-keys.ts'
import { manualClock } from '../support/clock.ts'
import { claimsOf, headerOf, type JwtReplica, type JwtRoom, openJwtRoom } from '../support/jwt.ts'

type Json = Readonly<Record<string, unknown>>

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A token with a signature of the attacker's choice. */
function forge(header: Json, claims: Json, signed: (text: string) => Buffer | string): string {
  const text = `${part(header)}.${part(claims)}`
  const signature = signed(text)
  return `${text}.${typeof signature === 'string' ? signature : signature.toString('base64url')}`
}

const hmac =
  (key: Buffer | string, hash = 'sha256') =>
  (text: string): Buffer =>
    createHmac(hash, key).update(text).digest()
const rsa =
  (key: KeyObject, hash = 'sha256') =>
  (text: string): Buffer =>
    sign(hash, Buffer.from(text), key)
const ed25519 =
  (key: KeyObject) =>
  (text: string): Buffer =>
    sign(null, Buffer.from(text), key)

/** Every form in which somebody may hold a public key. */
function formsOf(key: KeyObject): readonly (Buffer | string)[] {
  const pem = String(key.export({ type: 'spki', format: 'pem' }))
  const jwk = key.export({ format: 'jwk' })
  return [
    pem,
    pem.trim(),
    pem.replaceAll('\n', '\r\n'),
    key.export({ type: 'spki', format: 'der' }),
    JSON.stringify(jwk),
    ...[jwk.x, jwk.n].flatMap((text) => (text === undefined ? [] : [text, Buffer.from(text, 'base64url')])),
    '',
  ]
}

describe.each(['RS256', 'EdDSA'] as const)('a gateway that signs with %s', (algorithm) => {
  let room: JwtRoom
  let here: JwtReplica
  let good: string
  let privateKey: KeyObject
  let publicKey: KeyObject

  beforeAll(async () => {
    room = await openJwtRoom(algorithm)
    here = await room.open(manualClock(Date.now()))
    good = await here.signIn()
    privateKey = createPrivateKey(await readFile(room.source.file))
    publicKey = createPublicKey(privateKey)
  })
  afterAll(() => room?.close())

  const signed = (text: string): Buffer =>
    algorithm === 'RS256' ? rsa(privateKey)(text) : ed25519(privateKey)(text)

  it('lets the unchanged token in: otherwise nothing below would show anything', async () => {
    expect(await here.outcome(forge(headerOf(good), claimsOf(good), signed))).toBe('let in')
  })

  it('takes no public key for a secret, in any form, whatever the header says', async () => {
    for (const [alg, hash] of [
      ['HS256', 'sha256'],
      ['HS384', 'sha384'],
      ['HS512', 'sha512'],
      [algorithm, 'sha256'],
    ] as const) {
      for (const form of formsOf(publicKey)) {
        const token = forge({ ...headerOf(good), alg }, claimsOf(good), hmac(form, hash))
        expect(await here.outcome(token), alg).toBe('unknown')
      }
    }
  })

  it('takes its own key for no other algorithm', async () => {
    for (const alg of ['RS384', 'RS512', 'PS256', 'ES256', 'Ed25519', 'EdDSA', 'RS256', 'none', '']) {
      if (alg === algorithm) continue
      const token = forge({ ...headerOf(good), alg }, claimsOf(good), signed)
      // RFC 9864 has another name for the very same signature; the ring has one for each key.
      expect(await here.outcome(token), alg).toBe('unknown')
    }
    if (algorithm === 'RS256') {
      for (const [alg, hash] of [
        ['RS384', 'sha384'],
        ['RS512', 'sha512'],
        ['RS256', 'sha1'],
      ] as const) {
        const token = forge({ ...headerOf(good), alg }, claimsOf(good), rsa(privateKey, hash))
        expect(await here.outcome(token), alg).toBe('unknown')
      }
    }
  })

  it('takes the key of nobody else, embedded or under our kid', async () => {
    const other =
      algorithm === 'RS256'
        ? generateKeyPairSync('rsa', { modulusLength: 2_048 })
        : generateKeyPairSync('ed25519')
    const mine = algorithm === 'RS256' ? rsa(other.privateKey) : ed25519(other.privateKey)
    const jwk = other.publicKey.export({ format: 'jwk' })
    for (const more of [{}, { jwk }, { jku: 'http://127.0.0.1:9/jwks.json' }, { kid: 'mine', jwk }]) {
      expect(await here.outcome(forge({ ...headerOf(good), ...more }, claimsOf(good), mine))).toBe('unknown')
    }
  })

  it('takes a kid for a name and nothing else', async () => {
    for (const kid of [
      undefined,
      '',
      7,
      ['x'],
      { $ne: '' },
      '../jwt.key',
      room.source.file,
      `file://${room.source.file}`,
      "' OR 1=1 --",
      '__proto__',
      'constructor',
      `${String(headerOf(good)['kid'])}\0`,
      String(headerOf(good)['kid']).toUpperCase() === headerOf(good)['kid']
        ? 'x'
        : String(headerOf(good)['kid']).toUpperCase(),
    ]) {
      for (const signature of [signed, hmac(''), hmac(Buffer.alloc(64))])
        expect(await here.outcome(forge({ ...headerOf(good), kid }, claimsOf(good), signature))).toBe(
          'unknown',
        )
    }
  })

  it('shows public keys only, each with what verifies it and nothing that signs', async () => {
    const keys = here.people.publicKeys()
    expect(keys).toHaveLength(1)
    const members =
      algorithm === 'RS256'
        ? ['kid', 'use', 'alg', 'kty', 'n', 'e']
        : ['kid', 'use', 'alg', 'kty', 'crv', 'x']
    for (const key of keys) expect(Object.keys(key).toSorted()).toEqual(members.toSorted())
    const text = JSON.stringify(keys)
    const secret = privateKey.export({ format: 'jwk' })
    for (const name of ['d', 'p', 'q', 'dp', 'dq', 'qi'] as const) {
      const value = secret[name]
      if (value !== undefined) expect(text).not.toContain(value)
    }
    await Promise.resolve()
  })
})

describe('a gateway that was switched from RS256 over HS256 to EdDSA', () => {
  let room: JwtRoom
  let here: JwtReplica
  /** Good tokens of each, and the keys that they were signed with. */
  let tokens: { readonly rs: string; readonly hs: string; readonly ed: string }
  let keys: { readonly rs: KeyObject; readonly hs: Buffer; readonly ed: KeyObject }
  const now = Date.now()

  beforeAll(async () => {
    room = await openJwtRoom('RS256')
    const clock = manualClock(now)
    const rotate = { ttlSeconds: 3_600, end: false, now } as const
    const rsaSource = { file: join(room.dir, 'jwt.key'), algorithm: 'RS256' } as const
    const hsSource = { file: join(room.dir, 'jwt.secret'), algorithm: 'HS256' } as const
    const rs = await (await room.open(clock)).signIn()
    const rsKey = createPrivateKey(await readFile(rsaSource.file))
    await rotateKeys({ source: hsSource, before: rsaSource, ...rotate })
    const hs = await (await room.open(clock, { algorithm: 'HS256' })).signIn()
    const hsKey = await readFile(hsSource.file)
    await rotateKeys({ source: { ...rsaSource, algorithm: 'EdDSA' }, before: hsSource, ...rotate })
    here = await room.open(clock, { algorithm: 'EdDSA' })
    const ed = await here.signIn()
    tokens = { rs, hs, ed }
    keys = { rs: rsKey, hs: hsKey, ed: createPrivateKey(await readFile(rsaSource.file)) }
  })
  afterAll(() => room?.close())

  it('lets the tokens of all three in, while their keys are in the ring', async () => {
    for (const token of Object.values(tokens)) expect(await here.outcome(token)).toBe('let in')
  })

  it('holds each kid to its own algorithm', async () => {
    const kid = (token: string): Json => ({ kid: headerOf(token)['kid'] })
    const claims = { ...claimsOf(tokens.ed), jti: 'another' }
    const signers = {
      HS256: hmac(keys.hs),
      RS256: rsa(keys.rs),
      EdDSA: ed25519(keys.ed),
    }
    const owners = { HS256: tokens.hs, RS256: tokens.rs, EdDSA: tokens.ed }
    const entries = Object.entries(signers)
    for (const [alg, signer] of entries) {
      for (const [owner, token] of Object.entries(owners)) {
        const header = { typ: 'JWT', alg, ...kid(token) }
        expect(await here.outcome(forge(header, claims, signer)), `${alg} with the kid of ${owner}`).toBe(
          alg === owner ? 'let in' : 'unknown',
        )
        // And under the name of the owner's algorithm, with the wrong key.
        if (alg !== owner)
          expect(await here.outcome(forge({ ...header, alg: owner }, claims, signer))).toBe('unknown')
      }
    }
    for (const form of [...formsOf(createPublicKey(keys.rs)), ...formsOf(createPublicKey(keys.ed))]) {
      for (const token of Object.values(tokens)) {
        const header = { typ: 'JWT', alg: 'HS256', ...kid(token) }
        expect(await here.outcome(forge(header, claims, hmac(form)))).toBe('unknown')
      }
    }
  })

  it('shows the public keys of the ring, and never the secret', async () => {
    const shown = here.people.publicKeys()
    expect(shown.map(({ alg }) => alg).toSorted()).toEqual(['EdDSA', 'RS256'])
    const text = JSON.stringify(shown)
    for (const form of ['base64', 'base64url', 'hex'] as const) {
      expect(text).not.toContain(keys.hs.toString(form).slice(0, 30))
    }
    expect(text).not.toContain(keys.rs.export({ format: 'jwk' }).d)
    expect(text).not.toContain(keys.ed.export({ format: 'jwk' }).d)
    await Promise.resolve()
  })
})

describe('a ring file that somebody has tampered with', () => {
  interface Entry {
    kid: string
    algorithm: string
    until: string
    secret?: string
    public_key?: string
    [more: string]: unknown
  }
  interface File {
    format: number
    rings: { signing: string; retired: Entry[] }[]
  }

  const kidOf = (prefix: string, bytes: Buffer): string =>
    createHash('sha256').update(prefix).update(bytes).digest('hex').slice(0, 16)
  const pair = generateKeyPairSync('ed25519')
  const pem = (key: KeyObject, type: 'spki' | 'pkcs8'): string => String(key.export({ type, format: 'pem' }))
  const short = generateKeyPairSync('rsa', { modulusLength: 1_024 }).publicKey
  const first = (file: File): Entry => file.rings[0]?.retired[0] as Entry

  it.each<[string, (file: File) => unknown]>([
    ['another key under the kid', (file) => (first(file).public_key = pem(pair.publicKey, 'spki'))],
    ['another kid for the key', (file) => (first(file).kid = '0123456789abcdef')],
    ['a kid that is a path', (file) => (first(file).kid = '../jwt.key')],
    ['another algorithm for the key', (file) => (first(file).algorithm = 'RS256')],
    ['an algorithm that there is not', (file) => (first(file).algorithm = 'none')],
    ['a private key', (file) => (first(file).public_key = pem(pair.privateKey, 'pkcs8'))],
    [
      'a public key as a secret',
      (file) => {
        const secret = Buffer.from(first(file).public_key ?? '')
        file.rings[0]?.retired.splice(0, 1, {
          kid: kidOf('postern jwt key\0', secret),
          algorithm: 'HS256',
          until: '2030-01-01T00:00:00.000Z',
          secret: secret.toString('base64'),
        })
      },
    ],
    [
      'an empty secret',
      (file) =>
        file.rings[0]?.retired.push({
          kid: kidOf('postern jwt key\0', Buffer.alloc(0)),
          algorithm: 'HS256',
          until: '2030-01-01T00:00:00.000Z',
          secret: '',
        }),
    ],
    [
      'an RSA key of 1,024 bits',
      (file) =>
        file.rings[0]?.retired.push({
          kid: kidOf('postern jwt public key\0', short.export({ type: 'spki', format: 'der' })),
          algorithm: 'RS256',
          until: '2030-01-01T00:00:00.000Z',
          public_key: pem(short, 'spki'),
        }),
    ],
    ['a key without an end', (file) => (first(file).until = 'never')],
    ['the same key twice', (file) => file.rings[0]?.retired.push(first(file))],
    ['a member that is not known', (file) => (first(file)['jku'] = 'http://127.0.0.1:9/')],
    ['more than two rings', (file) => file.rings.push(...file.rings, ...file.rings)],
    ['another format', (file) => (file.format = 2)],
    [
      'a thousand keys',
      (file) => file.rings[0]?.retired.push(...Array.from({ length: 1_000 }, () => first(file))),
    ],
  ])('counts for nothing: %s', async (_, change) => {
    const room = await openJwtRoom('EdDSA')
    try {
      const clock = manualClock(Date.now())
      const here = await room.open(clock)
      await rotateKeys({ source: room.source, ttlSeconds: 3_600, end: false, now: clock.now() })
      const file = JSON.parse(await readFile(ringFileOf(room.source), 'utf8')) as File
      change(file)
      await writeFile(ringFileOf(room.source), JSON.stringify(file))
      const refused = await room.open(clock).then(() => 'started', String)
      expect(refused).toContain(`the JWT key ring ${ringFileOf(room.source)}`)
      expect(refused).not.toMatch(/BEGIN|127\.0\.0\.1/)
      // What runs goes on as before.
      expect(await here.outcome(await here.signIn())).toBe('let in')
    } finally {
      await room.close()
    }
  })

  it('does not count beside another key than it was made for', async () => {
    const room = await openJwtRoom('HS256')
    try {
      const clock = manualClock(Date.now())
      const token = await (await room.open(clock)).signIn()
      await rotateKeys({ source: room.source, ttlSeconds: 3_600, end: false, now: clock.now() })
      expect(await (await room.open(clock)).outcome(token)).toBe('let in')
      const file = JSON.parse(await readFile(ringFileOf(room.source), 'utf8')) as File
      if (file.rings[0]) file.rings[0].signing = '0123456789abcdef'
      await writeFile(ringFileOf(room.source), JSON.stringify(file))
      expect(await (await room.open(clock)).outcome(token)).toBe('unknown')
    } finally {
      await room.close()
    }
  })
})
