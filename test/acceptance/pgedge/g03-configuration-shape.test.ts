import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, callTool, postern, rpc, serve } from '../../support/postern.ts'
import { type TestDatabase, testPostgres } from '../../support/postgres.ts'
import { hashOf, logOf, openRoom, type Room, rowsOf, soon } from './room.ts'

const TOKEN = 'O9ms9jqTfUdy-DIjvpFWeqd_yH_NEj7me0mgOnOjGdQ='

let shop: TestDatabase
let staging: TestDatabase
let room: Room

/** One token in the shape of a token file. */
const tokens = (hash: string): string => `tokens:
    - id: token-1234567890
      hash: ${hash}
      note: Production API
      created_at: "2024-10-30T10:15:30Z"
      expires_at: "2124-10-30T10:15:30Z"
`

beforeAll(async () => {
  const postgres = await testPostgres()
  ;[shop, staging] = await Promise.all([postgres.createDatabase(), postgres.createDatabase()])
  room = await openRoom({ 'somewhere-else.yaml': tokens(hashOf(TOKEN)) })
})

afterAll(async () => {
  await room?.close()
  await Promise.all([shop?.drop(), staging?.drop()])
})

/** The `http` section of the document, and its databases. */
async function shape(http: string): Promise<string> {
  const { host, port, reader } = await testPostgres()
  const entry = (name: string, database: string): string => `
    - name: "${name}"
      host: "${host}"
      port: ${port}
      database: "${database}"
      user: "${reader.user}"
      password: "${reader.password}"
      sslmode: "disable"`
  return `${http}\ndatabases:${entry('production', shop.name)}${entry('staging', staging.name)}\n`
}

/** A folder of its own for one configuration. */
async function folder(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const dir = room.path(name)
  await mkdir(dir)
  for (const [file, text] of Object.entries(files)) await writeFile(join(dir, file), text, { mode: 0o600 })
  return dir
}

describe('G3 a configuration in the http / databases shape', () => {
  it('G3 starts the server unchanged: its token file lets its tokens in, its databases are served', async () => {
    const text = await shape(`http:
  enabled: true
  address: ":8080"
  auth:
    enabled: true
    token_file: "${room.path('somewhere-else.yaml')}"`)
    const dir = await folder('full', { 'pgedge-postgres-mcp.yaml': text })
    const checked = await postern(['config', 'check', '--json', '--config', 'pgedge-postgres-mcp.yaml'], {
      cwd: dir,
    })
    expect(checked.code).toBe(0)
    expect(JSON.parse(checked.stdout)).toMatchObject({
      address: ':8080',
      authentication: true,
      token_file: room.path('somewhere-else.yaml'),
      databases: [{ name: 'production' }, { name: 'staging' }],
    })

    // The port of the document may be taken on this machine; the file stays as it is.
    const gateway = await room.serve(
      '-config', join(dir, 'pgedge-postgres-mcp.yaml'), '-http', '-addr', '127.0.0.1:0',
    ) // prettier-ignore
    expect((await rpc(gateway.url, null, 'tools/list')).status).toBe(401)
    expect((await rpc(gateway.url, TOKEN, 'tools/list')).status).toBe(200)
    const database = 'SELECT current_database()'
    expect(await rowsOf(gateway.url, TOKEN, database)).toEqual([[shop.name]])
    expect(await rowsOf(gateway.url, TOKEN, database, { database: 'staging' })).toEqual([[staging.name]])
    const listed = await room.document<{ id: string }[]>([
      'token', 'list', '--config', join(dir, 'pgedge-postgres-mcp.yaml'),
    ]) // prettier-ignore
    expect(listed).toMatchObject([{ id: 'token-1234567890', note: 'Production API', status: 'valid' }])
    expect(await readFile(join(dir, 'pgedge-postgres-mcp.yaml'), 'utf8')).toBe(text)
  })

  it('G3 keeps the tokens in the default file beside the configuration when it names none', async () => {
    const text = await shape(`http:
  enabled: true
  address: "127.0.0.1:0"
  auth:
    enabled: true`)
    const dir = await folder('default-name', { 'gateway.yaml': text })
    const file = join(dir, 'pgedge-postgres-mcp-tokens.yaml')
    await writeFile(file, tokens(hashOf(TOKEN)), { mode: 0o600 })
    // Started from elsewhere: the name is meant from the configuration, not from where one stands.
    const gateway = await serve(['-http', '-config', join(dir, 'gateway.yaml')], { cwd: room.dir })
    try {
      expect(new URL(gateway.url).hostname).toBe('127.0.0.1')
      expect((await rpc(gateway.url, TOKEN, 'tools/list')).status).toBe(200)
      const added = await postern(
        [
          '-config',
          join(dir, 'gateway.yaml'),
          '-add-token',
          '-token-note',
          'CI',
          '-token-expiry',
          '1d',
          '-json',
        ],
        { cwd: room.dir },
      )
      const { id, token } = JSON.parse(added.stdout) as { id: string; token: string }
      expect(await readFile(file, 'utf8')).toContain(`id: ${id}`)
      await soon(async () => (await rpc(gateway.url, token, 'tools/list')).status).toBe(200)
    } finally {
      await gateway.stop()
    }
  })

  it('G3 takes a relative token_file from the directory of the configuration', async () => {
    const text = await shape(`http:
  address: "localhost:0"
  auth:
    enabled: true
    token_file: "./private/tokens.yaml"`)
    const dir = await folder('relative', { 'gateway.yaml': text })
    await mkdir(join(dir, 'private'))
    await writeFile(join(dir, 'private', 'tokens.yaml'), tokens(hashOf(TOKEN)), { mode: 0o600 })
    const gateway = await room.serve('-http', '-config', join(dir, 'gateway.yaml'))
    expect((await rpc(gateway.url, TOKEN, 'tools/list')).status).toBe(200)
  })

  it('G3 asks for no token where http.auth.enabled is false, on a loopback address', async () => {
    const text = await shape(`http:
  enabled: true
  address: "localhost:0"
  auth:
    enabled: false`)
    const dir = await folder('open', { 'gateway.yaml': text })
    const gateway = await room.serve('-http', '-config', join(dir, 'gateway.yaml'))
    expect(
      (await callTool(gateway.url, null, 'query_database', { query: 'SELECT 17' })).content[0]?.text,
    ).toContain('17')
    // Nobody is an administrator there.
    expect((await ask(`${gateway.url}/api/v1/admin/tokens`, null)).status).toBe(403)
  })

  it('G3 starts with the sections that have no meaning here, and names each of them', async () => {
    const text = await shape(`http:
  enabled: true
  address: "localhost:0"
  auth:
    rate_limit_max_attempts: 10
llm:
  enabled: false
knowledgebase:
  enabled: false`)
    const dir = await folder('more', { 'gateway.yaml': text })
    const gateway = await room.serve('-http', '-config', join(dir, 'gateway.yaml'))
    // What says nothing of authentication has it.
    expect((await rpc(gateway.url, null, 'tools/list')).status).toBe(401)
    const warnings = () =>
      logOf(gateway)
        .filter(({ level }) => level === 'WARN')
        .map(({ msg }) => msg)
        .join('\n')
    await soon(warnings).toMatch(/rate_limit_max_attempts[\s\S]*llm[\s\S]*knowledgebase/)
  })

  it('G3 names what is wrong with it, in its own words and with the line', async () => {
    const text = (await shape('http:\n  adress: ":8080"')).replace(/port: \d+/, 'port: high')
    const dir = await folder('wrong', { 'gateway.yaml': text })
    const { code, stderr } = await postern(['-http', '-config', 'gateway.yaml'], { cwd: dir })
    expect(code).toBe(1)
    expect(stderr).toMatch(/gateway\.yaml:\d+:\d+ +databases\[0\]\.port/)
    expect(stderr).toMatch(/gateway\.yaml:2:\d+ +http\.adress/)
  })
})
