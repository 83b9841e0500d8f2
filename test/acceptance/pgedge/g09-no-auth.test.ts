import { hostname } from 'node:os'
import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, postern, rpc } from '../../support/postern.ts'
import { openRoom, type Room } from './room.ts'

let room: Room

beforeAll(async () => {
  room = await openRoom()
})

afterAll(async () => {
  await room?.close()
})

/** Addresses that others could reach. None of them is ever listened on: the start is refused before. */
const REACHABLE = [
  ':0',
  '0.0.0.0:0',
  '[::]:0',
  '192.0.2.1:0',
  '10.0.0.5:8080',
  '[2001:db8::1]:0',
  '[::ffff:192.0.2.1]:0',
  '0:0',
  'gateway.example:0',
  'localhost.example:0',
  '127.0.0.1.example:0',
  `${hostname()}.example:0`,
]

describe('G9 -no-auth', () => {
  it.each(REACHABLE)('G9 is refused on %s', async (address) => {
    const { code, stdout, stderr } = await room.run(['-http', '-no-auth', '-addr', address])
    expect(code).not.toBe(0)
    expect(code).not.toBeNull()
    expect(stdout).toBe('')
    expect(stderr).toMatch(/authentication cannot be off|is not an address|does not name a host/)
    expect(stderr).not.toContain('Listening')
  })

  it.each([
    ['of the configuration', 'server: {addr: "0.0.0.0:0"}\nauth: {enabled: false}\n', ['serve'], {}],
    ['of the other shape', 'http:\n  address: ":0"\n  auth:\n    enabled: false\n', ['-http'], {}],
    [
      'of the environment',
      '',
      ['serve'],
      { POSTERN_AUTH_ENABLED: 'false', POSTERN_SERVER_ADDR: '0.0.0.0:0' },
    ],
    ['of both', 'auth: {enabled: false}\n', ['-http', '-addr', ':0'], {}],
  ])('G9 so is what means the same: the setting %s', async (_, text, args, env) => {
    await writeFile(room.path('postern.yaml'), text, { mode: 0o600 })
    const { code, stderr } = await postern(args, { cwd: room.dir, env })
    await writeFile(room.path('postern.yaml'), '', { mode: 0o600 })
    expect(code).toBe(1)
    expect(stderr).toContain('authentication cannot be off')
  })

  it.each(['localhost:0', '127.0.0.1:0', '[::1]:0'])(
    'G9 works on %s: no token is asked for',
    async (address) => {
      const gateway = await room.serve(
        '-http',
        '-no-auth',
        '-addr',
        address,
        '-data-dir',
        `data-${address.replaceAll(/\W/g, '-')}`,
      )
      expect((await rpc(gateway.url, null, 'tools/list')).status).toBe(200)
      // A token that is not needed does no harm; nobody is more than a reader.
      expect((await rpc(gateway.url, 'any-token-at-all', 'tools/list')).status).toBe(200)
      expect((await ask(`${gateway.url}/api/v1/admin/tokens`, null)).status).toBe(403)
      expect(gateway.token).toBeNull()
      expect(gateway.stderr()).toMatch(/authentication is off/)
      // A page of another site that resolves its own name to this machine is kept out.
      const rebound = await ask(`${gateway.url}/mcp/tools`, null, {
        headers: { origin: 'https://evil.example' },
      })
      expect(rebound.status).toBe(403)
    },
  )
})
