import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { keys } from './keys.ts'
import { loadSettings } from './load.ts'
import { formatProblem } from './problem.ts'
import { rowsOf } from './rows.ts'
import { startingFile } from './starting-file.ts'

let dir = ''

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-start-'))
})

afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
})

async function load(text: string, env: Record<string, string> = {}): ReturnType<typeof loadSettings> {
  const file = join(dir, 'postern.yaml')
  await writeFile(file, text, { mode: 0o600 })
  return loadSettings({ file, cwd: dir, env })
}

/** The file with every key switched on, as a person would do it. */
const switchedOn = (): string =>
  startingFile()
    .split('\n')
    .map((line) => line.replace(/^(\s*)#(?! \S)/, '$1'))
    .join('\n')

/** What a server cannot have beside a command, and beside a URL. */
const OTHER_REACH = {
  command: /^ {4}(?:url|transport|headers|clientCredentials|userCredential):.*\n(?: {6}.*\n)*/gm,
  url: /^ {4}(?:command|args|env|cwd|process):.*\n(?: {6}.*\n)*/gm,
}

/** A database has one of these. */
const OTHER_WRITER = {
  command: /^ {4}tenancy:.*\n(?: {6}.*\n)*/m,
  url: /^ {4}writer:.*\n(?: {6}.*\n)*/m,
}

/** Switched on, with what would contradict itself made up one's mind about. */
function forms(reach: 'command' | 'url'): string {
  const text = switchedOn()
    .replace('databases: all', 'databases: [main]')
    .replaceAll(/^ *# .*\n/gm, '')
  const at = text.indexOf('mcpServers:')
  return (
    text.slice(0, at).replace(OTHER_WRITER[reach], '') + text.slice(at).replaceAll(OTHER_REACH[reach], '')
  )
}

describe('the starting file', () => {
  it('loads without a problem or a warning, and means the defaults', async () => {
    const started = await load(startingFile())
    expect(started.ok).toBe(true)
    const defaults = await loadSettings({ cwd: join(dir, 'empty'), env: {} })
    if (!started.ok || !defaults.ok) return
    expect(started.value.warnings).toEqual([])
    expect({ ...started.value.settings, dataDir: '', store: null }).toEqual({
      ...defaults.value.settings,
      dataDir: '',
      store: null,
    })
  })

  it.each(['command', 'url'] as const)(
    'has examples that work when all of them are switched on, with a server behind a %s',
    async (reach) => {
      await writeFile(join(dir, 'cert.pem'), 'x')
      await writeFile(join(dir, 'key.pem'), 'x')
      const env = {
        CI_TOKEN: 'a-token-of-some-length',
        PROVISIONER_PASSWORD: 'of-the-provisioner',
        READER_PASSWORD: 'r',
        WRITER_PASSWORD: 'w',
        MODEL_API_KEY: 'k',
        FILES_API_KEY: 'f',
        WIKI_API_KEY: 'w',
        WIKI_CLIENT_SECRET: 's',
        COMPANY_LOGIN_SECRET: 'c',
      }
      const result = await load(forms(reach), env)
      expect(result.ok ? [] : result.error.problems.map(formatProblem)).toEqual([])
      if (!result.ok) return
      expect(result.value.warnings).toEqual([])
      expect(result.value.settings.databases).toHaveLength(1)
      expect(result.value.settings.auth.tokens).toHaveLength(1)
      expect(result.value.settings.mcpServers).toMatchObject([
        { name: 'files', reach: { kind: reach === 'url' ? 'http' : 'stdio' } },
      ])
      expect(result.value.settings.model).not.toBeNull()
      expect(result.value.settings.server.tls).not.toBeNull()
    },
  )

  it('shows every key that has a default or an example', () => {
    for (const row of rowsOf(keys)) {
      if (row.shape.kind !== 'leaf' || (row.shape.standard ?? row.shape.example) === undefined) continue
      const name = row.path.split('.').at(-1)
      const shown = name === '*' ? '[\\w-]+' : name
      expect(startingFile()).toMatch(new RegExp(`^ *# *(- )?${shown}: `, 'm'))
    }
  })
})

describe('a starting file with some keys switched on', () => {
  it('means the defaults and those', async () => {
    const text = startingFile({
      dataDir: '/var/lib/postern',
      'auth.jwt.secretFile': '/etc/postern/jwt.secret',
    })
    const loaded = await load(text)
    const standard = await load(startingFile())
    if (!loaded.ok || !standard.ok) throw new Error('it does not load')
    const { settings } = loaded.value
    expect(settings.dataDir).toBe('/var/lib/postern')
    expect(settings.auth.jwt.secretFile).toBe('/etc/postern/jwt.secret')
    expect(settings.limits).toEqual(standard.value.settings.limits)
    const changed = text.split('\n').filter((line) => !startingFile().split('\n').includes(line))
    expect(changed).toEqual(['dataDir: /var/lib/postern', '    secretFile: /etc/postern/jwt.secret'])
  })
})
