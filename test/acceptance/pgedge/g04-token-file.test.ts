import { chmod, mkdir, open, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { rpc, type Serving } from '../../support/postern.ts'
import { configuration, hashOf, type IssuedDocument, logOf, openRoom, type Room, soon } from './room.ts'

interface Entry {
  readonly id: string
  readonly token: string
  readonly expires?: string
}

/** The shape of the documentation: a list. */
const listOf = (...entries: readonly Entry[]): string =>
  `# tokens of the team\ntokens:\n${entries
    .map(
      ({ id, token, expires = '2124-10-30T10:15:30Z' }) =>
        `    - id: ${id}\n      hash: ${hashOf(token)}\n      note: Note of ${id}\n      created_at: "2024-10-30T10:15:30Z"\n      expires_at: "${expires}"\n`,
    )
    .join('')}`

/** The shape of the published code: a map. */
const mapOf = (...entries: readonly Entry[]): string =>
  `tokens:\n${entries
    .map(
      ({ id, token, expires = '2124-10-30T10:15:30Z' }) =>
        `    ${id}:\n        hash: ${hashOf(token)}\n        expires_at: ${expires}\n        annotation: Note of ${id}\n        created_at: 2024-10-30T10:15:30.123456789Z\n`,
    )
    .join('')}`

const ONE = { id: 'token-1', token: 'O9ms9jqTfUdy-DIjvpFWeqd_yH_NEj7me0mgOnOjGdQ=' }
const TWO = { id: 'token-2', token: 'kJ8x2pWq-0vLZ5cN7bT1yH4sRfUe9mDgAoXiQ6wEtKc=' }

let room: Room
let file: string
let gateway: Serving

const status = async (entry: Pick<Entry, 'token'>, at = gateway): Promise<number> =>
  (await rpc(at.url, entry.token, 'tools/list')).status
const works = (entry: Pick<Entry, 'token'>, at = gateway) => soon(() => status(entry, at)).toBe(200)
const isRefused = (entry: Pick<Entry, 'token'>, at = gateway) => soon(() => status(entry, at)).toBe(401)

/** Replaces the file in one step, as careful programs do. */
async function replace(text: string, target = file): Promise<void> {
  await writeFile(`${target}.new`, text, { mode: 0o600 })
  await rename(`${target}.new`, target)
}

const errors = (at = gateway) => logOf(at).filter(({ level }) => level === 'ERROR')
const modeOf = async (path = file): Promise<string> => ((await stat(path)).mode & 0o777).toString(8)

beforeAll(async () => {
  room = await openRoom({
    'tokens.yaml': listOf(ONE),
    'postern.yaml': configuration({ auth: { tokenFile: 'tokens.yaml' } }),
  })
  file = room.path('tokens.yaml')
  await chmod(file, 0o644)
  gateway = await room.serve()
})

afterAll(async () => {
  await room?.close()
})

describe('G4 a token file is read', () => {
  it('G4 whose mode is wider than 0600 is used, and warned about in the log', async () => {
    expect(await status(ONE)).toBe(200)
    await soon(() =>
      logOf(gateway)
        .filter(({ level }) => level === 'WARN')
        .map(({ msg }) => msg),
    ).toContainEqual(expect.stringMatching(/tokens\.yaml.*0644.*0600/))
  })

  it('G4 in the shape of a list: only the token with that SHA-256, only until it expires', async () => {
    const past = { ...TWO, expires: '2024-11-30T10:15:30Z' }
    await replace(listOf(ONE, past))
    await soon(() => logOf(gateway).filter(({ msg }) => msg.startsWith('[AUTH] Reloaded')).length).toBe(1)
    expect(await status(ONE)).toBe(200)
    expect(await status(past)).toBe(401)
    expect(await status({ token: hashOf(ONE.token) })).toBe(401)
    expect(await status({ token: ONE.token.slice(0, -1) })).toBe(401)
    expect(await room.document(['token', 'list'])).toMatchObject([
      { id: 'token-1', note: 'Note of token-1', status: 'valid', hash_prefix: hashOf(ONE.token).slice(0, 12),
        created_at: '2024-10-30T10:15:30.000Z', expires_at: '2124-10-30T10:15:30.000Z' },
      { id: 'token-2', status: 'expired' },
    ]) // prettier-ignore
  })

  it('G4 in the shape of a map', async () => {
    await replace(mapOf(TWO, { ...ONE, expires: 'null' }))
    await works(TWO)
    expect(await status(ONE)).toBe(200)
    expect(await room.document(['token', 'list'])).toMatchObject([
      { id: 'token-1', expires_at: null },
      { id: 'token-2', note: 'Note of token-2', expires_at: '2124-10-30T10:15:30.000Z' },
    ])
  })
})

describe('G4 a token file is written', () => {
  const addToFile = (note: string): Promise<IssuedDocument> =>
    room.document(['-add-token', '-token-note', note, '-token-expiry', '30d'])

  it('G4 with mode 0600, whatever it was, as a list that stays a list: only the hash, the rest untouched', async () => {
    await replace(listOf(ONE).replace('note: Note', 'team: blue\n      note: Note'))
    await chmod(file, 0o664)
    const added = await addToFile('Production API')
    expect(await modeOf()).toBe('600')
    const text = await readFile(file, 'utf8')
    expect(text).toMatch(
      new RegExp(
        `- id: token-\\d+\\n\\s+hash: ${hashOf(added.token)}\\n\\s+note: "Production API"\\n\\s+created_at: "[\\dT:-]+Z"\\n\\s+expires_at: "[\\dT:-]+Z"\\n`,
      ),
    )
    expect(text).not.toContain(added.token)
    expect(text).toContain('# tokens of the team')
    expect(text).toContain('team: blue')
    expect(added.id).toMatch(/^token-\d+$/)
    await works(added)
    expect(await status(ONE)).toBe(200)
  })

  it('G4 as a map that stays a map', async () => {
    await replace(mapOf(ONE))
    const added = await addToFile('In the map')
    expect(await readFile(file, 'utf8')).toMatch(
      new RegExp(`\\n\\s+${added.id}:\\n\\s+hash: ${hashOf(added.token)}\\n\\s+annotation: "In the map"\\n`),
    )
    await works(added)
    expect((await room.run(['-remove-token', added.id])).code).toBe(0)
    expect(await readFile(file, 'utf8')).not.toContain(added.id)
    await isRefused(added)
    expect(await status(ONE)).toBe(200)
  })

  it('G4 by several commands at once, none of which loses what another wrote', async () => {
    await replace(listOf(ONE))
    const added = await Promise.all(['a', 'b', 'c'].map(addToFile))
    for (const token of [ONE, ...added]) await works(token)
    expect((await readFile(file, 'utf8')).match(/hash: /g)).toHaveLength(4)
  })
})

describe('G4 a token file survives how it is changed', () => {
  it('G4 an atomic replace takes effect, for what is new and for what is gone', async () => {
    await replace(listOf(ONE))
    await works(ONE)
    await isRefused(TWO)
    await replace(listOf(TWO))
    await works(TWO)
    await isRefused(ONE)
  })

  it('G4 a half-written file leaves the last good content in force, and the log says so', async () => {
    await replace(listOf(ONE, TWO))
    await works(ONE)
    await works(TWO)
    const whole = listOf(TWO)
    for (const half of [
      whole.slice(0, whole.indexOf('hash: ') + 30),
      whole.slice(0, whole.indexOf('hash: ')),
      // What is left is whole YAML, but a token in it has lost its expiry.
      listOf(ONE, TWO).slice(0, listOf(ONE, TWO).lastIndexOf('      expires_at')),
      'tokens:\n  - id: [unclosed\n',
      '',
    ]) {
      const before = errors().length
      // In place: the same file, shorter, as a program leaves it that dies while it writes.
      await writeFile(file, half)
      await soon(() => errors().length).toBeGreaterThan(before)
      expect(errors().at(-1)).toMatchObject({ msg: expect.stringContaining('tokens.yaml') as string })
      expect([await status(ONE), await status(TWO)]).toEqual([200, 200])
    }
    expect(gateway.stderr()).not.toContain(hashOf(TWO.token).slice(0, 20))
    // The writer comes back and finishes.
    await writeFile(file, whole)
    await isRefused(ONE)
    expect(await status(TWO)).toBe(200)
  })

  it('G4 a file that is written slowly counts when it is whole', async () => {
    const text = listOf(TWO, ONE)
    const writer = await open(file, 'w')
    for (let at = 0; at < text.length; at += 40) {
      await writer.write(text.slice(at, at + 40))
      expect(await status(TWO)).toBe(200)
    }
    await writer.close()
    await works(ONE)
    expect(await status(TWO)).toBe(200)
  })

  it('G4 a broken file is never written over: the command refuses and says why', async () => {
    const broken = 'tokens:\n  - id: [unclosed\n'
    await writeFile(file, broken)
    const { code, stderr } = await room.run(['-add-token', '-token-note', 'x', '-token-expiry', '1d'])
    expect(code).toBe(1)
    expect(stderr).toMatch(/tokens\.yaml/)
    expect(await readFile(file, 'utf8')).toBe(broken)
  })

  it('G4 a swapped symbolic link takes effect, and a command writes behind the link', async () => {
    // As secrets are mounted: tokens.yaml → ..data/tokens.yaml, ..data → a folder of this version.
    const dir = room.path('mounted')
    for (const [version, entry] of [['v1', ONE], ['v2', TWO]] as const) {
      await mkdir(join(dir, version), { recursive: true })
      await writeFile(join(dir, version, 'tokens.yaml'), listOf(entry), { mode: 0o600 })
    } // prettier-ignore
    await symlink('v1', join(dir, '..data'))
    await symlink('..data/tokens.yaml', join(dir, 'tokens.yaml'))
    const linked = await room.serve(
      '-http',
      '-token-file',
      join(dir, 'tokens.yaml'),
      '-data-dir',
      join(dir, 'data'),
    )
    expect([await status(ONE, linked), await status(TWO, linked)]).toEqual([200, 401])
    await symlink('v2', join(dir, '..new'))
    await rename(join(dir, '..new'), join(dir, '..data'))
    await works(TWO, linked)
    await isRefused(ONE, linked)

    const added = await room.document<IssuedDocument>([
      '-add-token', '-token-note', 'x', '-token-expiry', '1d', '-token-file', join(dir, 'tokens.yaml'), '-data-dir', join(dir, 'data'),
    ]) // prettier-ignore
    expect(await readFile(join(dir, 'v2', 'tokens.yaml'), 'utf8')).toContain(hashOf(added.token))
    expect(await readFile(join(dir, 'tokens.yaml'), 'utf8')).toContain(hashOf(added.token))
    await works(added, linked)
  })
})
