import { spawn } from 'node:child_process'
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  chmod,
  chown,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { manualClock } from '../../../test/support/clock.ts'
import { headerOf, type JwtReplica, type JwtRoom, openJwtRoom } from '../../../test/support/jwt.ts'
import { soon } from '../../../test/support/soon.ts'
import { systemClock } from '../../lib/clock.ts'
import type { JwtAlgorithm } from './algorithm.ts'
import { newKey, readKeyPair, readSigningKey, verifyingHalf } from './key.ts'
import { readKeys, ringFileOf } from './read-keys.ts'
import { formatRingFile } from './ring-file.ts'
import { rotateKeys } from './rotate-keys.ts'

const rooms: JwtRoom[] = []
afterEach(async () => {
  for (const room of rooms.splice(0)) await room.close()
})

async function openRoom(algorithm: JwtAlgorithm = 'HS256'): Promise<JwtRoom> {
  const room = await openJwtRoom(algorithm)
  rooms.push(room)
  return room
}

const rotate = async ({ source }: JwtRoom, change: Partial<Parameters<typeof rotateKeys>[0]> = {}) =>
  await rotateKeys({ source, ttlSeconds: 3_600, end: false, now: Date.now(), ...change })

const seen = ({ observations }: JwtReplica, kind: string) => observations.filter((one) => one.kind === kind)

/** The kid with which a replica signs now. */
const kidOf = async (one: JwtReplica): Promise<unknown> => headerOf(await one.signIn())['kid']

/** What the log says of the files: never anything of their content. */
async function logHolds(one: JwtReplica, file: string): Promise<boolean> {
  const text = JSON.stringify(one.observations)
  const content = await readFile(file)
  const forms = [
    content.toString('utf8'),
    ...(['hex', 'base64', 'base64url'] as const).map((form) => content.toString(form)),
  ]
  return forms.some((form) => form.length > 8 && text.includes(form.slice(0, 40)))
}

describe.each(['HS256', 'RS256', 'EdDSA'] as const)('keys for %s', (algorithm) => {
  it('X4 a rotation logs nobody out, on any replica, and the new key signs', async () => {
    const room = await openRoom(algorithm)
    const [here, there] = [await room.open(systemClock), await room.open(systemClock)]
    const token = await here.signIn()
    const held = await there.hold(token)
    const { signing } = await rotate(room)
    await soon(() => kidOf(here)).toBe(signing.kid)
    await soon(() => kidOf(there)).toBe(signing.kid)
    expect(signing.kid).not.toBe(headerOf(token)['kid'])
    for (const one of [here, there, await room.open(systemClock)]) {
      expect(await one.outcome(token)).toBe('let in')
      expect(await one.outcome(await here.signIn())).toBe('let in')
    }
    expect(held()).toBeUndefined()
    expect(seen(there, 'keys.taken_over')).toMatchObject([
      { signing: signing.kid, algorithm, retired: [headerOf(token)['kid']], gone: [] },
    ])
    for (const file of [room.source.file, ringFileOf(room.source)])
      expect(await logHolds(there, file)).toBe(false)
  })

  it('X4 one with --now ends every token and what is open with it, on every replica', async () => {
    const room = await openRoom(algorithm)
    const [here, there] = [await room.open(systemClock), await room.open(systemClock)]
    const first = await here.signIn()
    await rotate(room)
    const [heldHere, heldThere] = [await here.hold(first), await there.hold(first)]
    const second = await here.signIn()
    const { signing } = await rotate(room, { end: true })
    await soon(heldHere).toBe('revoked')
    await soon(heldThere).toBe('revoked')
    await soon(() => kidOf(there)).toBe(signing.kid)
    for (const one of [here, there, await room.open(systemClock)]) {
      expect(await one.outcome(first)).toBe('unknown')
      expect(await one.outcome(second)).toBe('unknown')
      expect(await one.outcome(await there.signIn())).toBe('let in')
    }
  })

  it('X4 keeps of a retired key what verifies, and nothing more', async () => {
    const room = await openRoom(algorithm)
    await room.open(systemClock)
    const before = await readFile(room.source.file, 'latin1')
    await rotate(room)
    const ring = await readFile(ringFileOf(room.source), 'latin1')
    expect(ring).not.toContain('PRIVATE')
    if (algorithm !== 'HS256') expect(ring).not.toContain(before.split('\n')[1]?.slice(-20))
    expect((await stat(ringFileOf(room.source))).mode & 0o777).toBe(0o600)
  })
})

describe('a rotation', () => {
  it('X4 is known at once to a replica that has not noticed it, as soon as somebody shows a new token', async () => {
    const room = await openRoom()
    const here = await room.open(systemClock)
    // Its clock stands still: no watch, no poll.
    const there = await room.open(manualClock(Date.now()))
    const { signing } = await rotate(room)
    await soon(() => kidOf(here)).toBe(signing.kid)
    expect(seen(there, 'keys.taken_over')).toEqual([])
    expect(await there.outcome(await here.signIn())).toBe('let in')
  })

  it('X4 keeps mode and owner, of a link its target, and leaves no drafts behind', async () => {
    const room = await openRoom()
    const target = join(room.dir, 'elsewhere', 'secret')
    await mkdir(join(room.dir, 'elsewhere'))
    await writeFile(target, randomBytes(64), { mode: 0o640 })
    await chmod(target, 0o640)
    await chown(target, 12_345, 23_456)
    await symlink(target, room.source.file)
    await writeFile(
      join(room.dir, 'elsewhere', '.secret.0123456789ab.tmp'),
      'left by somebody who was stopped',
    )
    const before = await readFile(target)
    await rotate(room)
    await rotate(room)
    expect((await readFile(target)).equals(before)).toBe(false)
    for (const file of [target, ringFileOf(room.source)]) {
      const { mode, uid, gid } = await stat(file)
      expect([mode & 0o777, uid, gid]).toEqual([0o640, 12_345, 23_456])
    }
    expect(await readdir(join(room.dir, 'elsewhere'))).toEqual(['secret'])
    expect((await readdir(room.dir)).toSorted()).toEqual(['elsewhere', 'jwt.secret', 'jwt.secret.ring'])
  })

  it('X4 several at once follow each other, and nothing that was signed is lost', async () => {
    const room = await openRoom()
    const here = await room.open(systemClock)
    const token = await here.signIn()
    await Promise.all(Array.from({ length: 6 }, () => rotate(room)))
    const keys = await readKeys(room.source)
    expect(keys?.rings[0]?.retired).toHaveLength(6)
    await soon(() => kidOf(here)).toBe(keys?.signing.kid)
    expect(await here.outcome(token)).toBe('let in')
  })

  it('X4 drops what has expired, from the ring, the file, and what was open', async () => {
    const room = await openRoom()
    const clock = manualClock()
    const here = await room.open(clock)
    const token = await here.signIn()
    // As if tokens had been made shorter since: a minute is what replicas have to take the new key over.
    await rotate(room, { now: clock.now(), ttlSeconds: 0 })
    await here.outcome(await (await room.open(manualClock(clock.now()))).signIn())
    expect(seen(here, 'keys.taken_over')).toHaveLength(1)
    const held = await here.hold(token)
    clock.advance(59_999)
    expect(held()).toBeUndefined()
    clock.advance(1)
    expect(held()).toBe('revoked')
    expect(await here.outcome(token)).toBe('unknown')
    await soon(async () => (await readKeys(room.source))?.rings[0]?.retired).toEqual([])
  })

  it('X4 whoever is stopped in the middle leaves the old state or the new one', async () => {
    const room = await openRoom()
    const here = await room.open(systemClock)
    const oldest = await here.signIn()
    await rotate(room)
    await soon(() => seen(here, 'keys.taken_over').length).toBe(1)
    const older = await here.signIn()
    const keys = await readKeys(room.source)
    if (!keys) throw new Error('no keys')
    const bytes = await newKey('HS256')
    const { kid } = readSigningKey(bytes, 'HS256')
    const ring = {
      signing: kid,
      retired: [{ key: verifyingHalf(keys.signing), until: Date.now() + 3_600_000 }],
    }

    // After the first write of one with --now: everything is as before.
    const ends = formatRingFile([...keys.rings, { signing: kid, retired: [] }])
    await writeFile(ringFileOf(room.source), ends)
    const first = await room.open(systemClock)
    expect([await first.outcome(oldest), await first.outcome(older)]).toEqual(['let in', 'let in'])
    // After the second: the new key alone.
    await replace(room.source.file, bytes)
    const second = await room.open(systemClock)
    expect([await second.outcome(oldest), await second.outcome(older)]).toEqual(['unknown', 'unknown'])
    // The same without --now, where the one before it is kept.
    await writeFile(ringFileOf(room.source), formatRingFile([...keys.rings, ring]))
    const third = await room.open(systemClock)
    expect([await third.outcome(oldest), await third.outcome(older)]).toEqual(['unknown', 'let in'])
  })

  it('X4 survives kill -9 at any moment', async () => {
    const room = await openRoom('EdDSA')
    const here = await room.open(systemClock)
    const module = new URL('rotate-keys.ts', import.meta.url).href
    const script = `import { rotateKeys } from ${JSON.stringify(module)}
      for (;;) {
        const { signing } = await rotateKeys({
          source: ${JSON.stringify(room.source)}, ttlSeconds: 3600, end: false, now: Date.now() })
        process.stdout.write(signing.kid + '\\n')
      }`
    for (let round = 0; round < 8; round += 1) {
      const token = await here.signIn()
      const child = spawn(process.execPath, ['--input-type=module', '-e', script])
      await once(child.stdout, 'data')
      await delay(round * 1.7)
      child.kill('SIGKILL')
      await once(child, 'close')
      // Whatever was reached, what signs has a ring of its own, and it holds what signed before.
      const keys = await readKeys(room.source)
      if (!keys) throw new Error('no keys')
      expect(keys.rings.map(({ signing }) => signing)).toContain(keys.signing.kid)
      await soon(() => kidOf(here)).toBe(keys.signing.kid)
      expect(await here.outcome(token)).toBe('let in')
      await rotate(room, { end: round % 2 === 1 })
      await soon(() => here.outcome(token)).toBe(round % 2 === 1 ? 'unknown' : 'let in')
      expect((await readdir(room.dir)).filter((name) => /tmp|lock/.test(name))).toEqual([])
    }
  })

  it('X4 switches the algorithm, and keeps the old key where that is asked for', async () => {
    const room = await openRoom('HS256')
    const before = await room.open(systemClock)
    const token = await before.signIn()
    const source = { file: join(room.dir, 'jwt.key'), algorithm: 'EdDSA' } as const
    const switched = await room.open(systemClock, { algorithm: 'EdDSA' })
    expect(await switched.outcome(token)).toBe('unknown')
    await rotateKeys({ source, before: room.source, ttlSeconds: 3_600, end: false, now: Date.now() })
    await soon(() => switched.outcome(token)).toBe('let in')
    expect(headerOf(await switched.signIn())['alg']).toBe('EdDSA')
    await rotateKeys({ source, ttlSeconds: 3_600, end: true, now: Date.now() })
    await soon(() => switched.outcome(token)).toBe('unknown')
    // What lies about in the file of an algorithm that was not in use does not come back.
    const stale = await switched.signIn()
    await rotate(room, { before: source })
    await rotate(room, { end: true })
    await rotateKeys({ source, before: room.source, ttlSeconds: 3_600, end: false, now: Date.now() })
    await soon(() => switched.outcome(stale)).toBe('unknown')
    // RS256 has the same file: the start says what to do about it.
    await expect(room.open(systemClock, { algorithm: 'RS256' })).rejects.toThrow('postern key-ring rotate')
    const eddsa = await switched.signIn()
    await rotateKeys({
      source: { ...source, algorithm: 'RS256' },
      ttlSeconds: 3_600,
      end: false,
      now: Date.now(),
    })
    const rsa = await room.open(systemClock, { algorithm: 'RS256' })
    expect(await rsa.outcome(eddsa)).toBe('let in')
    expect(headerOf(await rsa.signIn())['alg']).toBe('RS256')
  })
})

describe('key files that cannot be used change nothing, and the log says why', () => {
  const RSA_1024 = () =>
    generateKeyPairSync('rsa', { modulusLength: 1_024 }).privateKey.export({ type: 'pkcs8', format: 'pem' })
  const P256 = () =>
    generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' })
  const PKCS1 = () =>
    generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey.export({ type: 'pkcs1', format: 'pem' })
  const ENCRYPTED = () =>
    generateKeyPairSync('ed25519').privateKey.export({
      type: 'pkcs8',
      format: 'pem',
      cipher: 'aes-256-cbc',
      passphrase: 'x',
    })
  const PUBLIC = () => generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' })

  it.each<[string, JwtAlgorithm, (file: string) => Promise<void>, string]>([
    ['world-readable', 'HS256', (file) => chmod(file, 0o644), 'world-readable (mode 0644)'],
    ['world-readable', 'EdDSA', (file) => chmod(file, 0o604), 'world-readable (mode 0604)'],
    ['writable by all', 'HS256', (file) => chmod(file, 0o662), 'open to everybody (mode 0662)'],
    ['empty', 'HS256', (file) => truncate(file, 0), 'has 0 bytes'],
    ['half written', 'HS256', (file) => writeFile(file, randomBytes(31)), 'has 31 bytes'],
    [
      'half written',
      'EdDSA',
      async (file) => truncate(file, 70),
      'does not hold a private key in PKCS#8 PEM',
    ],
    ['missing', 'HS256', (file) => rm(file), 'is missing'],
    [
      'another algorithm',
      'EdDSA',
      async (file) => replace(file, await newKey('RS256')),
      'has a key for RS256',
    ],
    ['a short RSA key', 'RS256', (file) => replace(file, RSA_1024()), 'has an RSA key of 1024 bits'],
    ['another curve', 'EdDSA', (file) => replace(file, P256()), 'neither RSA (RS256) nor Ed25519 (EdDSA)'],
    ['PKCS#1', 'RS256', (file) => replace(file, PKCS1()), 'does not hold a private key in PKCS#8 PEM'],
    ['a passphrase', 'EdDSA', (file) => replace(file, ENCRYPTED()), 'has a passphrase'],
    ['a public key', 'EdDSA', (file) => replace(file, PUBLIC()), 'does not hold a private key in PKCS#8 PEM'],
    ['a public key as the secret', 'HS256', (file) => replace(file, PUBLIC()), 'is no secret for HS256'],
    ['too long', 'HS256', (file) => writeFile(file, randomBytes(20_000)), 'longer than 16 KiB'],
    [
      'ring world-readable',
      'HS256',
      (file) => chmod(`${file}.ring`, 0o644),
      '.ring is world-readable (mode 0644)',
    ],
    ['ring cut off', 'HS256', (file) => truncate(`${file}.ring`, 100), '.ring is not whole'],
    ['ring of something else', 'HS256', (file) => writeFile(`${file}.ring`, '{"keys":[]}'), 'is not as'],
  ])('X4 %s, %s', async (_, algorithm, spoil, message) => {
    const room = await openRoom(algorithm)
    const here = await room.open(systemClock)
    await rotate(room)
    await soon(() => seen(here, 'keys.taken_over').length).toBe(1)
    const token = await here.signIn()
    const held = await here.hold(token)
    await spoil(room.source.file)
    await soon(() => seen(here, 'keys.reload_failed').length).toBe(1)
    const said = JSON.stringify(seen(here, 'keys.reload_failed'))
    expect(said).toContain(message)
    expect(said).toContain(room.source.file)
    if (/mode/.test(message)) expect(said).toMatch(/chmod 0640 .*chmod 0600/)
    expect(held()).toBeUndefined()
    expect(await here.outcome(token)).toBe('let in')
    expect(await here.outcome(await here.signIn())).toBe('let in')
    expect(seen(here, 'keys.taken_over')).toHaveLength(1)
  })

  it('X4 a slow writer is waited for', async () => {
    const room = await openRoom()
    const clock = manualClock()
    const here = await room.open(clock)
    const token = await here.signIn()
    const pass = async (ms: number): Promise<void> => {
      for (let passed = 0; passed < ms; passed += 5) {
        clock.advance(5)
        await delay(1)
      }
    }
    const secret = randomBytes(64)
    await writeFile(room.source.file, secret.subarray(0, 40))
    await pass(200)
    expect(await here.outcome(token)).toBe('let in')
    await writeFile(room.source.file, secret)
    await soon(async () => {
      await pass(5)
      return await here.outcome(token)
    }).toBe('unknown')
    expect(seen(here, 'keys.taken_over')).toHaveLength(1)
    expect(seen(here, 'keys.reload_failed')).toEqual([])
    expect(await kidOf(here)).toBe(
      createHash('sha256').update('postern jwt key\0').update(secret).digest('hex').slice(0, 16),
    )
  })

  it.each([0o644, 0o604, 0o602])('X4 nor does the gateway start with a ring of mode %o', async (mode) => {
    const room = await openRoom('EdDSA')
    await room.open(systemClock)
    await rotate(room)
    await chmod(ringFileOf(room.source), mode)
    const refused = await room.open(systemClock).then(String, String)
    expect(refused).toContain(`the JWT key ring ${ringFileOf(room.source)} is `)
    expect(refused).toContain(`(mode 0${mode.toString(8)})`)
    expect(refused).toContain(`chmod 0640 ${ringFileOf(room.source)}`)
    expect(refused).toContain(`chmod 0600 ${ringFileOf(room.source)}`)
  })

  it('X4 and --now mends what is broken, unless others could read it', async () => {
    const room = await openRoom()
    await room.open(systemClock)
    await rotate(room)
    await writeFile(ringFileOf(room.source), '{')
    await expect(rotate(room)).rejects.toThrow('the keys stay as they are')
    await chmod(room.source.file, 0o644)
    await expect(rotate(room, { end: true })).rejects.toThrow('world-readable (mode 0644)')
    await chmod(room.source.file, 0o640)
    await rotate(room, { end: true })
    expect((await stat(room.source.file)).mode & 0o777).toBe(0o640)
    expect((await readKeys(room.source))?.rings[0]?.retired).toEqual([])
  })
})

describe('a secret that is written by hand', () => {
  it('X4 logs everybody out, also with tokens of retired keys', async () => {
    const room = await openRoom()
    const before = await room.open(systemClock)
    const first = await before.signIn()
    await rotate(room)
    await soon(() => seen(before, 'keys.taken_over').length).toBe(1)
    const second = await before.signIn()
    const held = await before.hold(first)
    await writeFile(room.source.file, randomBytes(64))
    const after = await room.open(systemClock)
    for (const token of [first, second]) expect(await after.outcome(token)).toBe('unknown')
    // One that runs on takes it over, too.
    await soon(held).toBe('revoked')
    expect(await before.outcome(second)).toBe('unknown')
    expect(await before.outcome(await after.signIn())).toBe('let in')
  })
})

it('names an RSA and an Ed25519 key for what they are', async () => {
  for (const algorithm of ['RS256', 'EdDSA'] as const) {
    const pem = (await newKey(algorithm)).toString()
    expect(readKeyPair(pem)).toMatchObject({
      algorithm,
      kid: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
    })
  }
})

/** In one step, as `install` and `mv` do it. */
async function replace(file: string, content: string | Uint8Array): Promise<void> {
  await writeFile(`${file}.other`, content, { mode: 0o600 })
  await rename(`${file}.other`, file)
}
