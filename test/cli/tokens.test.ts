import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { type Circumstances, OLD_NODE, type Outcome, postern, scratch } from './postern.ts'
import { converse } from './terminal.ts'

const { dir, remove } = scratch()
afterAll(remove)

let dataDir: string
let number = 0
beforeEach(() => {
  dataDir = join(dir, `data-${(number += 1)}`)
})

const run = (args: readonly string[], how: Circumstances = {}): Promise<Outcome> =>
  postern([...args, '--data-dir', dataDir], { cwd: dir, ...how })

/** What `--json` answered; fails the test when anything else is on standard output. */
async function json(
  args: readonly string[],
  how: Circumstances = {},
): Promise<{ code: number | null; document: Record<string, unknown> }> {
  const { code, stdout } = await run([...args, '--json'], how)
  return { code, document: JSON.parse(stdout) as Record<string, unknown> }
}

const list = async (): Promise<Record<string, unknown>[]> =>
  JSON.parse((await run(['token', 'list', '--json'])).stdout) as Record<string, unknown>[]

const DAY = 86_400_000

const FIELDS = [
  'id',
  'token',
  'note',
  'owner',
  'level',
  'tenant',
  'databases',
  'servers',
  'scopes',
  'created_at',
  'expires_at',
  'hash_prefix',
]

describe('postern token add', () => {
  it('issues a token, good for what the options say', async () => {
    const { code, document } = await json([
      'token', 'add', '--note', 'Night import', '--owner', 'anna', '--level', 'read-write', '--expiry', '2w',
      '--tenant', 'acme', '--database', 'a,b', '--server', 'files', '--scope=stats:read', '--scope', 'stats:write',
    ]) // prettier-ignore
    expect(code).toBe(0)
    expect(Object.keys(document).toSorted()).toEqual(FIELDS.toSorted())
    expect(document).toMatchObject({
      note: 'Night import',
      owner: 'anna',
      level: 'read-write',
      tenant: 'acme',
      databases: ['a', 'b'],
      servers: ['files'],
      scopes: ['stats:read', 'stats:write'],
    })
    const [created, expires] = [document['created_at'], document['expires_at']].map((at) =>
      Date.parse(String(at)),
    )
    expect(expires! - created!).toBe(14 * DAY)
    expect(document['token']).toMatch(/^pst_[\w-]{43}$/)
  })

  it('P8 gives 90, 30 or 14 days by level where no expiry is said', async () => {
    for (const [level, days] of [
      ['read-only', 90],
      ['read-write', 30],
      ['admin', 14],
    ] as const) {
      const { document } = await json(['token', 'add', '--note', level, '--level', level])
      const life = Date.parse(String(document['expires_at'])) - Date.parse(String(document['created_at']))
      expect(life / DAY).toBe(days)
    }
    expect(
      (await json(['token', 'add', '--note', 'x', '--expiry', 'never'])).document['expires_at'],
    ).toBeNull()
  })

  it('C5 shows the value once, on standard output, and nowhere else', async () => {
    const { stdout, stderr, code } = await run(['token', 'add', '--note', 'CI'])
    expect(code).toBe(0)
    const values = stdout.match(/pst_[\w-]{43}/g) ?? []
    expect(values).toHaveLength(1)
    expect(stderr).toBe('')
    expect(stdout).toContain('shown this once')
    const listed = await run(['token', 'list'])
    expect(listed.stdout).not.toContain(values[0])
    for (const file of ['', '-wal'].map((end) => join(dataDir, `postern.db${end}`)).filter(existsSync))
      expect(readFileSync(file, 'latin1')).not.toContain(values[0])
  })

  it('G8 refuses 6m with the hint to say 180d', async () => {
    const { code, stderr, stdout } = await run(['token', 'add', '--note', 'x', '--expiry', '6m'])
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain('180d')
    expect(existsSync(dataDir)).toBe(false)
  })

  it('asks on a terminal when nothing is given', async () => {
    const { code, screen } = await converse(
      ['token', 'add', '--data-dir', dataDir],
      [
        ['what the token is for: ', '\r'],
        ['a note is needed', ''],
        ['what the token is for: ', 'Dev Environment\r'],
        ['never) [90d]: ', '6m\r'],
        ['180d', ''],
        ['never) [90d]: ', '30d\r'],
      ],
      { cwd: dir },
    )
    expect(screen).toContain('Token created')
    expect(screen).toMatch(/Note: +Dev Environment/)
    expect(screen).toContain('(30 days from now)')
    expect(code).toBe(0)
    expect(await list()).toMatchObject([{ note: 'Dev Environment' }])
  })

  it('does nothing after Ctrl-C or the end of input at a question', async () => {
    for (const key of ['\u0003', '\u0004']) {
      const { code, screen } = await converse(
        ['token', 'add', '--data-dir', dataDir],
        [['what the token is for: ', key]],
        { cwd: dir },
      )
      expect(screen).toContain('nothing was done')
      expect(code).toBe(1)
    }
    expect(await list()).toEqual([])
  })
})

describe('postern token list, rotate, remove', () => {
  it('lists the same fields without the value, and the state', async () => {
    const { document } = await json(['token', 'add', '--note', 'CI'])
    const { token: _, ...rest } = document
    expect(await list()).toMatchObject([
      { ...rest, status: 'valid', last_used_at: null, rotation_due: false },
    ])
  })

  it('G7 removes by id and by hash prefix; refuses a short one', async () => {
    const first = (await json(['token', 'add', '--note', 'one'])).document
    const second = (await json(['token', 'add', '--note', 'two'])).document
    const byId = await json(['token', 'remove', String(first['id'])])
    expect(byId).toMatchObject({ code: 0, document: { id: first['id'], status: 'revoked' } })

    const prefix = String(second['hash_prefix'])
    const short = await json(['token', 'remove', prefix.slice(0, 7)])
    expect(short).toMatchObject({
      code: 1,
      document: { error: 'refused', message: expect.any(String) as string },
    })
    expect(await json(['token', 'remove', prefix.slice(0, 8)])).toMatchObject({
      code: 0,
      document: { id: second['id'] },
    })
    const unknown = await json(['token', 'remove', 'ffffffffffff'])
    expect(unknown).toMatchObject({ code: 1, document: { error: 'refused', code: 'not_found' } })
  })

  it('rotates: a successor with the same grant, the old one ended or in its grace period', async () => {
    const old = (await json(['token', 'add', '--note', 'CI', '--level', 'read-write'])).document
    const { code, document } = await json(['token', 'rotate', String(old['id'])])
    expect(code).toBe(0)
    expect(Object.keys(document).toSorted()).toEqual([...FIELDS, 'predecessor'].toSorted())
    expect(document).toMatchObject({ note: 'CI', level: 'read-write', predecessor: { id: old['id'] } })
    expect((document['predecessor'] as { status: string }).status).not.toBe('valid')
    expect(document['id']).not.toBe(old['id'])

    const graceful = await json(['token', 'rotate', String(document['id']), '--grace', '24h'])
    expect(graceful.document['predecessor']).toMatchObject({ id: document['id'], status: 'valid' })
    expect((await run(['token', 'rotate', 'tok_unknown'])).code).toBe(1)
  })

  it('works under the older Node of the machine, too', async () => {
    if (OLD_NODE === undefined) return
    const { code, document } = await json(['token', 'add', '--note', 'CI'], { node: OLD_NODE })
    expect(code).toBe(0)
    expect(document['note']).toBe('CI')
  })
})

describe('G6 single-dash token commands', () => {
  it('adds, lists and removes', async () => {
    const added = await run(['-add-token', '-token-note', 'Production API', '-token-expiry', '1y'])
    expect(added.code).toBe(0)
    expect(added.stderr).toBe('')
    expect(added.stdout).toMatch(/Expires: +\d{4}-\d\d-\d\d \(365 days from now\)/)
    const id = /ID: +(\S+)/.exec(added.stdout)?.[1] ?? ''
    const hash = /Hash: +([0-9a-f]{12}) /.exec(added.stdout)?.[1] ?? ''
    const listed = await run(['-list-tokens'])
    expect(listed.stdout).toMatch(new RegExp(`ID: +${id}\\n[\\s\\S]*${hash}[\\s\\S]*Status: +Valid`))
    expect(listed.stdout).toContain('Total tokens: 1')
    expect((await run(['-remove-token', hash.slice(0, 8)])).code).toBe(0)
  })

  it('G4 works on a token file', async () => {
    const file = join(dir, `tokens-${number}.yaml`)
    writeFileSync(file, 'tokens: []\n', { mode: 0o600 })
    const added = await json([
      '-add-token',
      '-token-note',
      'CI',
      '-token-expiry',
      'never',
      '-token-file',
      file,
    ])
    expect(added.code).toBe(0)
    const text = readFileSync(file, 'utf8')
    expect(text).toContain(String(added.document['hash_prefix']))
    expect(text).not.toContain(String(added.document['token']))
    expect((await json(['-remove-token', String(added.document['id']), '-token-file', file])).code).toBe(0)
    expect(readFileSync(file, 'utf8')).not.toContain(String(added.document['hash_prefix']))
  })

  it('reads piped answers line by line', async () => {
    const { code, stdout, stderr } = await run(['-add-token'], { input: 'Piped\n1h\n' })
    expect(stderr).toContain('Note')
    expect(code).toBe(0)
    expect(stdout).toMatch(/Note: +Piped[\s\S]*\((?:1 hour|60 minutes) from now\)/)
  })

  it('says so when the input is closed, and issues nothing', async () => {
    const { code, document } = await json(['-add-token'])
    expect(code).toBe(1)
    expect(document).toMatchObject({ error: 'failed', code: 'input_ended' })
    expect(await list()).toEqual([])
  })
})
