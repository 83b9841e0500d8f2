import { createHash, randomBytes } from 'node:crypto'
import { open, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { ask } from '../support/postern.ts'
import { watch } from './bystander.ts'

const WAIT = { timeout: 20_000, interval: 20 }
const TOOLS = { path: '/mcp/tools', right: /^200 / }

const newToken = (): string => randomBytes(32).toString('base64')

const entry = (id: number, token: string): string =>
  [
    `  - id: ${id}`,
    `    hash: "${createHash('sha256').update(token).digest('hex')}"`,
    `    note: "number ${id}"`,
    '    created_at: "2026-01-01T00:00:00Z"',
    '    expires_at: null',
    '',
  ].join('\n')

const fileOf = (tokens: readonly string[]): string =>
  `tokens:\n${tokens.map((token, at) => entry(at + 1, token)).join('')}`

const tokens = Array.from({ length: 20 }, newToken)
const whole = fileOf(tokens)
const root = `root-${randomBytes(24).toString('hex')}`

let gateway: RunningGateway
let file: string

beforeAll(async () => {
  gateway = await startGateway({
    admin: root,
    configuration: { auth: { tokens: { root: { value: root, level: 'admin' } }, tokenFile: 'tokens.yaml' } },
  })
  file = join(gateway.dir, 'tokens.yaml')
  await writeFile(file, whole, { mode: 0o600 })
  await vi.waitFor(async () => {
    expect(await statusOf(tokens[0] ?? '')).toBe(200)
  }, WAIT)
})
afterAll(async () => {
  await gateway?.close()
})

const statusOf = async (token: string): Promise<number> =>
  (await ask(`${gateway.url}/mcp/tools`, token)).status

const complaints = (): number =>
  gateway
    .log()
    .filter(({ level, msg }) => level === 'ERROR' && msg.includes('the tokens read before stay in force'))
    .length

/** Everybody who was let in before is let in now. */
async function allStillValid(): Promise<void> {
  expect(new Set(await Promise.all(tokens.map(statusOf)))).toEqual(new Set([200]))
}

describe('a token file that is cut off in the middle of a write', () => {
  // Between two entries what is left is a whole, shorter list: only the writer's slowness tells the two apart.
  const CUTS = {
    'in the middle of a hash': whole.indexOf(entry(11, tokens[10] ?? '')) + 40,
    'after a key': whole.indexOf('    note: "number 7"') + 9,
    'in the middle of a time': whole.lastIndexOf('2026-01-01') + 6,
    'in the first word': 4,
  }

  it.each(Object.entries(CUTS))('keeps the last good content in force and says so: %s', async (_, at) => {
    const others = [tokens[0] ?? '', tokens[19] ?? ''].map((token) => watch(gateway.url, token, TOOLS))
    const before = complaints()
    await writeFile(file, whole.slice(0, at))
    await vi.waitFor(() => {
      expect(complaints()).toBeGreaterThan(before)
    }, WAIT)
    await allStillValid()
    const complaint = gateway.log().findLast(({ level }) => level === 'ERROR')
    expect(complaint?.msg).toContain(file)
    expect(String(complaint?.['problem']).length).toBeGreaterThan(10)

    const added = newToken()
    await writeFile(file, fileOf([...tokens, added]))
    await vi.waitFor(async () => {
      expect(await statusOf(added)).toBe(200)
    }, WAIT)
    for (const other of others) expect((await other.stop()).failures).toEqual([])
    await writeFile(file, whole)
    await vi.waitFor(async () => {
      expect(await statusOf(added)).toBe(401)
    }, WAIT)
  })

  it('lets nobody out while a slow writer empties and fills it', async () => {
    const others = tokens.slice(0, 4).map((token) => watch(gateway.url, token, TOOLS))
    const added = newToken()
    const next = fileOf([...tokens, added])
    const handle = await open(file, 'w')
    for (let at = 0; at < next.length; at += 500) {
      await handle.write(next.slice(at, at + 500))
      await others[0]?.answered(1)
    }
    await handle.close()
    await vi.waitFor(async () => {
      expect(await statusOf(added)).toBe(200)
    }, WAIT)
    for (const other of others) {
      const seen = await other.stop()
      expect(seen.failures).toEqual([])
      expect(seen.answers).toBeGreaterThan(5)
    }
  })

  it('does the command line no harm either: it refuses to write over what it cannot read', async () => {
    const cut = whole.slice(0, whole.indexOf(entry(11, tokens[10] ?? '')) + 40)
    await writeFile(file, cut)
    const said = await gateway.postern(['token', 'add', '--note', 'x', '--into', 'token-file', '--json'])
    expect(said.code).toBe(1)
    expect(JSON.parse(said.stdout)).toMatchObject({ error: 'failed', code: 'config_invalid' })
    expect(await readFile(file, 'utf8')).toBe(cut)
    await writeFile(`${file}.new`, whole, { mode: 0o600 })
    await rename(`${file}.new`, file)
    const again = await gateway.postern(['token', 'add', '--note', 'x', '--into', 'token-file', '--json'])
    expect(again.code, again.stderr + again.stdout).toBe(0)
    const { token } = JSON.parse(again.stdout) as { token: string }
    await vi.waitFor(async () => {
      expect(await statusOf(token)).toBe(200)
    }, WAIT)
    await allStillValid()
  })

  it('no value and no whole hash of a token is in the log', () => {
    const log = gateway.serving.stderr()
    for (const token of tokens) {
      expect(log).not.toContain(token)
      expect(log).not.toContain(createHash('sha256').update(token).digest('hex'))
    }
  })
})
