import { randomBytes } from 'node:crypto'
import { chmod, readFile, stat, writeFile } from 'node:fs/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { headerOf } from '../../support/jwt.ts'
import { ask } from '../../support/postern.ts'
import { soon } from '../../support/soon.ts'
import { configuration, logOf, openRoom, type Room } from '../pgedge/room.ts'
import { openReplicas, PASSWORD, type Replicas, statusOf } from './replicas.ts'

interface KeyDocument {
  readonly kid: string
  readonly algorithm: string
  readonly status: 'signing' | 'retired'
  readonly until: string | null
}

const TOOK_OVER = /^Took over the JWT keys of /

describe.each([
  { kind: 'sqlite', algorithm: 'HS256', file: 'jwt.secret' },
  { kind: 'postgres', algorithm: 'EdDSA', file: 'jwt.key' },
] as const)('two processes on a store of $kind that sign with $algorithm', ({ kind, algorithm, file }) => {
  let here: Replicas
  beforeAll(async () => {
    here = await openReplicas(kind, { jwt: { algorithm } })
    await here.add('alice')
  })
  afterAll(() => here?.close())

  const keys = async (...args: readonly string[]): Promise<readonly KeyDocument[]> =>
    await here.room.document(['key-ring', ...args])
  const path = (end = ''): string => here.room.path(`.postern/${file}${end}`)
  const kidOf = (token: string): unknown => headerOf(token)['kid']

  it('X4 rotate gives both a new key, logs nobody out and ends nothing', async () => {
    const before = [await here.login('alice', here.one), await here.login('alice', here.two)]
    const open = []
    for (const token of before) for (const at of here.both) open.push(await here.work(token, at))
    const old = kidOf(before[0] ?? '')
    const [signing, retired] = await keys('rotate')
    expect([signing?.algorithm, signing?.status, retired?.kid]).toEqual([algorithm, 'signing', old])
    expect(await keys('list')).toMatchObject([
      { kid: signing?.kid, algorithm, status: 'signing', until: null },
      { kid: old, algorithm, status: 'retired' },
    ])
    // The life of a token from now on, and a minute for everybody to take the new key over.
    const life = (Date.parse(retired?.until ?? '') - Date.now()) / 1_000
    expect(life).toBeGreaterThan(3_600)
    expect(life).toBeLessThanOrEqual(3_660)
    for (const at of here.both) {
      await soon(async () => kidOf(await here.login('alice', at))).toBe(signing?.kid)
      for (const token of before) expect(await statusOf(token, at)).toBe(200)
    }
    // What one signs, the other takes, whoever was quicker.
    expect(await statusOf(await here.login('alice', here.one), here.two)).toBe(200)
    expect(await statusOf(await here.login('alice', here.two), here.one)).toBe(200)
    for (const work of open) {
      expect(await work.goesOn()).toBe(true)
      await work.stop()
    }
  })

  it('X4 rotate --now ends every token and what is open with it, on both', async () => {
    const tokens = [await here.login('alice', here.one), await here.login('alice', here.two)]
    const open = []
    for (const token of tokens) for (const at of here.both) open.push(await here.work(token, at))
    const [signing, ...others] = await keys('rotate', '--now')
    expect(others).toEqual([])
    for (const work of open) await work.hasEnded()
    for (const at of here.both) {
      for (const token of tokens) expect(await statusOf(token, at)).toBe(401)
      const fresh = await here.login('alice', at)
      expect(kidOf(fresh)).toBe(signing?.kid)
      for (const any of here.both) expect(await statusOf(fresh, any)).toBe(200)
    }
    expect(await keys('list')).toMatchObject([{ kid: signing?.kid, status: 'signing' }])
  })

  it('X4 the log names the keys by their kid, and holds nothing of them', async () => {
    const contents = [await readFile(path()), await readFile(path('.ring'))]
    const [signing] = await keys('rotate')
    contents.push(await readFile(path()), await readFile(path('.ring')))
    for (const at of here.both) {
      const taken = () => logOf(at).filter(({ msg }) => TOOK_OVER.test(msg))
      await soon(() => taken().at(-1)?.['kid']).toBe(signing?.kid)
      for (const content of contents) {
        for (const form of ['latin1', 'base64', 'base64url', 'hex'] as const)
          expect(at.stderr() + at.stdout()).not.toContain(content.toString(form).slice(-60))
      }
    }
    const { body } = await ask(`${here.one.url}/api/v1/admin/audit?limit=500`, await adminToken(here))
    expect((body as { entries: { tool?: string; target?: string }[] }).entries).toContainEqual(
      expect.objectContaining({ tool: 'key_ring.rotate', target: signing?.kid }),
    )
  })

  it('X4 what others could read, or what is broken, is not taken over, and both say why', async () => {
    const token = await here.login('alice')
    const said = (message: string) =>
      Promise.all(
        here.both.map((at) =>
          soon(() => logOf(at).some(({ problem }) => String(problem).includes(message))).toBe(true),
        ),
      )
    for (const end of ['', '.ring']) {
      await chmod(path(end), 0o644)
      await said(`${path(end)} is world-readable (mode 0644): \`chmod 0640 ${path(end)}\``)
      await said(`\`chmod 0600 ${path(end)}\` leaves it to its owner alone`)
      const refused = await here.room.run(['key-ring', 'rotate'])
      expect(refused.code).toBe(1)
      expect(refused.stderr).toContain('world-readable (mode 0644)')
      await chmod(path(end), 0o600)
    }
    const ring = await readFile(path('.ring'))
    await writeFile(path('.ring'), ring.subarray(0, ring.length / 2))
    await said('.ring is not whole')
    await writeFile(path('.ring'), ring)
    for (const at of here.both) expect(await statusOf(token, at)).toBe(200)
  })

  it('X4 SIGHUP takes keys over, too', async () => {
    const token = await here.login('alice')
    const [signing] = await keys('rotate')
    for (const at of here.both) {
      at.signal('SIGHUP')
      await soon(async () => kidOf(await here.login('alice', at))).toBe(signing?.kid)
      expect(await statusOf(token, at)).toBe(200)
    }
  })
})

/** Of the configuration; it is no JWT, so no rotation ends it. */
async function adminToken({ room }: Replicas): Promise<string> {
  const text = await readFile(room.path('postern.yaml'), 'utf8')
  const { auth } = JSON.parse(text) as { auth: { tokens: { root: { value: string } } } }
  return auth.tokens.root.value
}

describe('a gateway that starts', () => {
  let room: Room
  afterEach(() => room?.close())

  const prepare = async (jwt: Readonly<Record<string, unknown>> = {}): Promise<void> => {
    room = await openRoom({
      'postern.yaml': configuration({ auth: { jwt, argon2: { memoryKb: 8_192, timeCost: 1 } } }),
    })
  }

  it.each([
    ['HS256', 'jwt.secret', 'made the JWT secret', 64],
    ['RS256', 'jwt.key', 'made the JWT key', null],
    ['EdDSA', 'jwt.key', 'made the JWT key', null],
  ])('X4 makes what it needs for %s with mode 0600, and warns', async (algorithm, file, warning, bytes) => {
    await prepare({ algorithm })
    const gateway = await room.serve()
    const { mode, size } = await stat(room.path(`.postern/${file}`))
    expect(mode & 0o777).toBe(0o600)
    if (bytes !== null) expect(size).toBe(bytes)
    const warned = () => logOf(gateway).filter(({ level, msg }) => level === 'WARN' && msg.includes(warning))
    await soon(() => warned().length).toBe(1)
    expect(warned()[0]?.msg).toContain(room.path(`.postern/${file}`))
  })

  it.each([
    ['HS256', 'jwt.secret', '0644'],
    ['HS256', 'jwt.secret.ring', '0604'],
    ['EdDSA', 'jwt.key', '0644'],
    ['EdDSA', 'jwt.key.ring', '0664'],
  ])(
    'X4 refuses: %s with %s of mode %s, and names the mode and both fixes',
    async (algorithm, name, mode) => {
      await prepare({ algorithm })
      await room.document(['key-ring', 'rotate'])
      const file = room.path(`.postern/${name}`)
      await chmod(file, mode)
      const { code, stdout, stderr } = await room.run(['serve', '--json'])
      expect(code).toBe(1)
      const { message } = JSON.parse(stdout) as { message: string }
      expect(message).toContain('Postern does not start')
      expect(message).toContain(`${file} is world-readable (mode ${mode})`)
      expect(message).toContain(`chmod 0640 ${file}`)
      expect(message).toContain(`chmod 0600 ${file}`)
      const secret = await readFile(file)
      for (const form of ['latin1', 'base64', 'hex'] as const)
        expect(stdout + stderr).not.toContain(secret.toString(form).slice(-40))
    },
  )

  it('X4 the rotation of the document works: stop, 64 random bytes, start, and everybody signs in again', async () => {
    await prepare()
    const first = await room.serve()
    const args = ['user', 'add', '--username', 'alice', '--password-stdin', '--json']
    expect((await room.run(args, `${PASSWORD}\n`)).code).toBe(0)
    const login = async (url: string): Promise<string> => {
      const { body } = await ask(`${url}/api/v1/auth/login`, null, {
        json: { username: 'alice', password: PASSWORD },
      })
      return (body as { token: string }).token
    }
    const tokens = [await login(first.url)]
    await room.document(['key-ring', 'rotate'])
    await soon(async () => headerOf(await login(first.url))['kid']).not.toBe(headerOf(tokens[0] ?? '')['kid'])
    tokens.push(await login(first.url))
    for (const token of tokens) expect(await statusOf(token, first)).toBe(200)
    await first.stop()
    await writeFile(room.path('.postern/jwt.secret'), randomBytes(64))
    const second = await room.serve()
    for (const token of tokens) expect(await statusOf(token, second)).toBe(401)
    expect(await statusOf(await login(second.url), second)).toBe(200)
  })
})
