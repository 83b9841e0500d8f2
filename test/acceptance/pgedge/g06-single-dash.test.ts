import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { converse } from '../../cli/terminal.ts'
import { rpc } from '../../support/postern.ts'
import { makeCertificate } from './certificate.ts'
import { configuration, hashOf, type IssuedDocument, openRoom, type Room } from './room.ts'

const DATABASES = ['production', 'staging', 'archive'].map((name) => ({
  name,
  // Nobody answers there: making a token needs no database.
  url: `postgres://reader@127.0.0.1:1/${name}`,
}))

let room: Room

beforeAll(async () => {
  room = await openRoom({
    'postern.yaml': configuration({ auth: { tokenFile: 'tokens.yaml' }, databases: DATABASES }),
  })
})

afterAll(async () => {
  await room?.close()
})

const DAYS = String.raw`\d{4}-\d\d-\d\d \((\d+) days from now\)`

/** The lines of a reply that issues a token, by their label. */
function read(shown: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...shown.matchAll(/^ *(Token|ID|Note|Databases?|Expires|Hash): +(.+?) *$/gm)].map(([, label, value]) => [
      label === 'Databases' ? 'Database' : (label ?? ''),
      value ?? '',
    ]),
  )
}

describe('G6 -add-token with its details', () => {
  it('G6 prints token, id, note, database, expiry with days, first characters of the hash, and the warning', async () => {
    const { code, stdout, stderr } = await room.run([
      '-add-token', '-token-note', 'Staging API', '-token-database', 'staging', '-token-expiry', '30d',
    ]) // prettier-ignore
    expect(code).toBe(0)
    expect(stderr).toBe('')
    const shown = read(stdout)
    expect(shown).toEqual({
      Token: expect.stringMatching(/^\S{40,}$/) as string,
      ID: expect.stringMatching(/^token-\d+$/) as string,
      Note: 'Staging API',
      Database: 'staging',
      Expires: expect.stringMatching(new RegExp(`^${DAYS.replace(String.raw`\d+`, '30')}$`)) as string,
      Hash: `${hashOf(shown['Token'] ?? '').slice(0, 12)} (first 12 characters)`,
    })
    expect(stdout).toMatch(/shown this once/i)

    // Once: neither the list nor any file has it.
    const listed = await room.run(['-list-tokens'])
    expect(listed.stdout).toContain(shown['ID'])
    expect(listed.stdout).not.toContain(shown['Token'])
    expect(await readFile(room.path('tokens.yaml'), 'utf8')).not.toContain(shown['Token'])
  })

  it('G6 asks nothing when note and expiry are given, also on a terminal', async () => {
    const { code, screen } = await converse(['-add-token', '-token-note=CI/CD', '-token-expiry=never'], [], {
      cwd: room.dir,
    })
    expect(code).toBe(0)
    expect(read(screen)).toMatchObject({ Note: 'CI/CD', Expires: 'Never' })
  })

  it('G6 refuses a database that is not configured, and names those that are', async () => {
    const { code, stderr } = await room.run([
      '-add-token', '-token-note', 'x', '-token-expiry', '1d', '-token-database', 'stagin',
    ]) // prettier-ignore
    expect(code).toBe(1)
    expect(stderr).toMatch(/"stagin".*production, staging, archive/s)
  })
})

describe('G6 -add-token without the details asks on the terminal', () => {
  const talk = (turns: readonly (readonly [string, string])[], args: readonly string[] = ['-add-token']) =>
    converse(args, turns, { cwd: room.dir })

  it.each([
    ['by number', '2', 'staging'],
    ['by name', 'archive', 'archive'],
    ['blank for the default', '', 'production'],
  ])('G6 for note, database (%s) and expiry', async (_, typed, database) => {
    const { code, screen } = await talk([
      ['Note', 'Production API\r'],
      ['Database, by number or name', `${typed}\r`],
      ['Expiry', '1y\r'],
    ])
    expect(code).toBe(0)
    for (const [index, { name }] of DATABASES.entries())
      expect(screen).toMatch(new RegExp(`^ *${index + 1} +${name} *$`, 'm'))
    const shown = read(screen.slice(screen.lastIndexOf('Token created')))
    expect(shown).toMatchObject({
      Note: 'Production API',
      Database: database,
      Expires: expect.stringMatching(/\(365 days from now\)$/) as string,
    })
    expect(screen.split(shown['Token'] ?? '').length - 1).toBe(1)
    const listed = await room.document<IssuedDocument[]>(['-list-tokens'])
    expect(listed.find(({ id }) => id === shown['ID'])).toMatchObject({
      databases: [database],
      hash_prefix: hashOf(shown['Token'] ?? '').slice(0, 12),
    })
  })

  it('G6 and asks again after an answer that does not fit', async () => {
    const { code, screen } = await talk([
      ['Note', '\r'],
      ['a note is needed', ''],
      ['Note', 'Second try\r'],
      ['Database, by number or name', '4\r'],
      ['not on the list', ''],
      ['Database, by number or name', 'stagign\r'],
      ['did you mean staging', ''],
      ['Database, by number or name', '2\r'],
      ['Expiry', '6m\r'],
      ['180d', ''],
      ['Expiry', 'never\r'],
    ])
    expect(code).toBe(0)
    expect(read(screen.slice(screen.lastIndexOf('Token created')))).toMatchObject({
      Note: 'Second try',
      Database: 'staging',
      Expires: 'Never',
    })
  })

  it('G6 but not for what was given', async () => {
    const { code, screen } = await talk(
      [['Expiry', '2w\r']],
      ['-add-token', '-token-note', 'Half', '-token-database', 'archive'],
    )
    expect(code).toBe(0)
    expect(screen).not.toMatch(/Note, what|by number or name/)
    expect(read(screen)).toMatchObject({ Note: 'Half', Database: 'archive' })
  })
})

describe('G6 -list-tokens and -remove-token', () => {
  it('G6 list every token with its state and the total; remove one', async () => {
    const file = ['-token-file', 'other.yaml', '-data-dir', 'other']
    const add = (note: string, expiry: string) =>
      room.document<IssuedDocument>(['-add-token', '-token-note', note, '-token-expiry', expiry, ...file])
    const [first, second] = [await add('Production API', '1y'), await add('Development', 'never')]
    expect(await readFile(room.path('other.yaml'), 'utf8')).toContain(first.id)

    const { code, stdout } = await room.run(['-list-tokens', ...file])
    expect(code).toBe(0)
    for (const [token, expires] of [[first, String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`], [second, 'Never']] as const) {
      const created = token.created_at.slice(0, 19).replace('T', ' ')
      expect(stdout).toMatch(
        new RegExp(
          `ID: +${token.id}\\n +Note: +${token.note}\\n[\\s\\S]*?Hash: +${token.hash_prefix}…\\n +Created: +${created}\\n +Expires: +${expires}[\\s\\S]*?Status: +Valid`,
        ),
      )
    } // prettier-ignore
    expect(stdout).toContain('Total tokens: 2')

    expect((await room.run(['-remove-token', first.id, ...file])).code).toBe(0)
    expect((await room.run(['-list-tokens', ...file])).stdout).toContain('Total tokens: 1')
    expect(
      await room.document(['token', 'list', '--token-file', 'other.yaml', '--data-dir', 'other']),
    ).toMatchObject([{ id: second.id }])
  })

  it('G6 one dash or two, a space or an equals sign, and the native command: all the same', async () => {
    const where = ['--data-dir', 'spellings']
    for (const args of [
      ['-add-token', '-token-note', 'a', '-token-expiry', '30d'],
      ['--add-token', '--token-note', 'a', '--token-expiry', '30d'],
      ['-token-expiry=30d', '-token-note=a', '-add-token'],
      ['token', 'add', '--note', 'a', '--expiry', '30d', '--into', 'configured'],
    ]) {
      const { note, created_at, expires_at } = await room.document<IssuedDocument>([...args, ...where])
      expect(note).toBe('a')
      const days = (Date.parse(expires_at ?? '') - Date.parse(created_at)) / 86_400_000
      expect(Math.round(days)).toBe(30)
    }
  })

  it('G6 a misspelt option is named, with the one that was meant; nothing is done', async () => {
    const { code, stderr, stdout } = await room.run(['-add-tokn', '-token-note', 'x'])
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain('-add-token')
  })
})

describe('G6 the server by its single-dash options', () => {
  it('G6 -http, -addr, -config, -token-file: serves there, with that configuration and those tokens', async () => {
    const { token } = await room.document<IssuedDocument>([
      '-add-token', '-token-note', 'x', '-token-expiry', '1d', '-token-file', 'served.yaml', '-data-dir', 'served',
    ]) // prettier-ignore
    const gateway = await room.serve(
      '-http', '-addr', '127.0.0.1:0', '-config', 'postern.yaml', '-token-file', 'served.yaml', '-data-dir', 'served',
    ) // prettier-ignore
    expect(gateway.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
    expect((await rpc(gateway.url, token, 'tools/list')).status).toBe(200)
    expect((await rpc(gateway.url, 'another', 'tools/list')).status).toBe(401)
  })

  it('G6 -no-auth: asks nobody for a token', async () => {
    const gateway = await room.serve('-http', '-addr', 'localhost:0', '-no-auth', '-data-dir', 'open')
    expect((await rpc(gateway.url, null, 'tools/list')).status).toBe(200)
  })

  it('G6 -tls, -cert, -key: serves HTTPS with that certificate', async () => {
    await makeCertificate(room.dir)
    const gateway = await room.serve(
      '-http', '-tls', '-cert', 'cert.pem', '-key', 'key.pem', '-addr', '127.0.0.1:0', '-data-dir', 'tls',
    ) // prettier-ignore
    expect(gateway.url).toMatch(/^https:/)
    const ca = await readFile(room.path('cert.pem'))
    const status = await new Promise<number | undefined>((resolve, reject) => {
      request(`${gateway.url}/health`, { ca }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
        .on('error', reject)
        .end()
    })
    expect(status).toBe(200)
    await expect(fetch(gateway.url.replace('https:', 'http:'))).rejects.toThrow()
  })

  it('G6 -tls without its certificate does not start, and says what is missing', async () => {
    const { code, stderr } = await room.run(['-http', '-tls', '-addr', '127.0.0.1:0'])
    expect(code).not.toBe(0)
    expect(stderr).toMatch(/cert/i)
  })
})
