import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadSettings } from '../load.ts'
import { formatProblem } from '../problem.ts'
import type { Settings } from '../settings.ts'

let dir = ''

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-dialect-'))
})

afterAll(async () => {
  await rm(dir, { recursive: true, force: true })
})

interface Outcome {
  readonly settings: Settings | undefined
  readonly dialect: string | undefined
  readonly warnings: readonly string[]
  readonly problems: readonly string[]
}

async function load(text: string, env: Record<string, string> = {}): Promise<Outcome> {
  const file = join(dir, 'gateway.yaml')
  await writeFile(file, text, { mode: 0o600 })
  // Started from elsewhere: relative names are meant from the file.
  const result = await loadSettings({ file, cwd: tmpdir(), env })
  const { warnings } = result.ok ? result.value : result.error
  return {
    settings: result.ok ? result.value.settings : undefined,
    dialect: result.ok ? result.value.dialect : undefined,
    warnings: warnings.map(formatProblem),
    problems: result.ok ? [] : result.error.problems.map(formatProblem),
  }
}

const WITHOUT_TLS = expect.stringContaining('without TLS') as string

describe('the http / databases shape', () => {
  it('G3 starts unchanged', async () => {
    const { settings, dialect, warnings, problems } = await load(`
http:
  enabled: true
  address: ":8080"
  auth:
    enabled: true
    token_file: "./tokens/api.yaml"
databases:
  - name: "production"
    host: localhost
    port: 5433
    database: shop
    user: reader
    password: "secret-of-the-reader"
    sslmode: require
    allow_writes: false
    pool_max_conns: 10
    pool_max_conn_idle_time: "1h30m"
    connect_timeout: "2.5s"
  - name: staging
    user: reader
`)
    expect(problems).toEqual([])
    expect(warnings).toEqual([WITHOUT_TLS])
    expect(dialect).toBe('pgedge-postgres-mcp')
    expect(settings?.server).toMatchObject({ host: '', port: 8080, tls: null })
    expect(settings?.auth).toMatchObject({
      enabled: true,
      tokens: [],
      tokenFile: join(dir, 'tokens/api.yaml'),
    })
    expect(settings?.databases).toMatchObject([
      {
        name: 'production',
        host: 'localhost',
        port: 5433,
        database: 'shop',
        user: 'reader',
        sslmode: 'require',
        maxConnectionsPerCredential: 10,
        maxConnections: 40,
        idleTimeoutMs: 5_400_000,
        connectTimeoutMs: 2_500,
      },
      { name: 'staging', host: 'localhost', port: 5432, database: 'postgres', sslmode: 'prefer' },
    ])
    expect(settings?.databases[0]?.password?.reveal()).toBe('secret-of-the-reader')
  })

  it('G3 keeps tokens beside the configuration when it names no file', async () => {
    const expected = join(dir, 'pgedge-postgres-mcp-tokens.yaml')
    for (const auth of ['auth: {enabled: true}', 'auth: {enabled: true, token_file: ""}', 'enabled: true']) {
      expect((await load(`http:\n  ${auth}\n`)).settings?.auth.tokenFile).toBe(expected)
    }
  })

  it('G3 reads an absolute token file', async () => {
    const { settings } = await load('http: {auth: {token_file: /etc/gateway/tokens.yaml}}')
    expect(settings?.auth.tokenFile).toBe('/etc/gateway/tokens.yaml')
  })

  it('reads one database of an older file, and its TLS', async () => {
    await writeFile(join(dir, 'server.crt'), 'x')
    await writeFile(join(dir, 'k.pem'), 'x')
    const { settings, problems, warnings } = await load(
      'http: {address: "localhost:8443", tls: {enabled: true, key_file: k.pem}}\ndatabase: {host: h, user: u}\n',
    )
    expect(problems).toEqual([])
    expect(warnings).toEqual([])
    expect(settings?.server.tls).toEqual({ certFile: join(dir, 'server.crt'), keyFile: join(dir, 'k.pem') })
    expect(settings?.databases).toMatchObject([
      { name: 'default', host: 'h', user: 'u', database: 'postgres' },
    ])
  })

  it('is closed when it says nothing of authentication, and listens on loopback when it names no address', async () => {
    const { settings } = await load('http: {enabled: true}')
    expect(settings?.auth.enabled).toBe(true)
    expect(settings?.server.host).toBe('127.0.0.1')
  })

  it('G9 cannot be open on every interface', async () => {
    const { problems } = await load('http:\n  address: ":8080"\n  auth:\n    enabled: false\n')
    expect(problems).toEqual([
      expect.stringMatching(/^gateway\.yaml:4:14 {2}http\.auth\.enabled {2}authentication cannot be off/),
    ])
    expect(
      (await load('http: {address: "localhost:8080", auth: {enabled: false}}')).settings?.auth,
    ).toMatchObject({
      enabled: false,
      tokenFile: null,
    })
  })

  it('takes the password of the first database from the variables that the product reads', async () => {
    const text = 'databases: [{name: a, pool_max_conns: 2}, {name: b, user: u}]'
    const { settings } = await load(text, { PGEDGE_DB_USER: 'reader', PGPASSWORD: 'p', PGUSER: 'other' })
    expect(settings?.databases[0]?.user).toBe('reader')
    expect(settings?.databases[0]?.password?.reveal()).toBe('p')
    expect(settings?.databases[1]?.password).toBeNull()
  })

  it('names everything that has no effect, and nothing that is switched off by being empty', async () => {
    const { warnings, problems } = await load(`
http:
  enabled: false
  client_ip: {source: header}
  tls: {enabled: false, cert_file: x, chain_file: chain.pem}
  auth: {user_file: users.yaml, rate_limit_max_attempts: 10}
databases:
  - {name: a, user: u, available_to_users: [ann], allow_writes: true, pool_min_conns: 2}
builtins: {tools: {count_rows: false}}
llm: {enabled: true}
secret_file: s
custom_definitions_path:
`)
    expect(problems).toEqual([])
    expect(warnings.map((line) => line.split('  ')[1])).toEqual([
      'http.enabled',
      'http.client_ip',
      'http.tls.chain_file',
      'http.auth.user_file',
      'http.auth.rate_limit_max_attempts',
      'databases[0].available_to_users',
      'databases[0].allow_writes',
      'databases[0].pool_min_conns',
      'builtins',
      'llm',
      'secret_file',
    ])
  })

  it.each<[string, string]>([
    ['http: {}\ndatabases:\n  - {name: a}', 'gateway.yaml:3:5  databases[0].user  names no user'],
    [
      'http: {}\ndatabases:\n  - {name: a, user: u, port: high}',
      'databases[0].port  "high" is not a whole number',
    ],
    ['http: {}\ndatabases:\n  - {name: a, user: u, sslmode: alow}', 'databases[0].sslmode'],
    ['http: {}\ndatabases:\n  - {name: a, user: u, hosts: [{host: a}, {host: b}]}', 'several hosts'],
    ['http: {}\ndatabases:\n  - {name: a, user: u, sslcert: c.pem, sslkey: k.pem}', 'client certificates'],
    [
      'http: {}\ndatabases:\n  - {name: a, user: u, connect_timeout: soon}',
      'databases[0].connect_timeout  "soon" is not a length of time',
    ],
    ['http: {address: 8080}', 'http.address  "8080" is not an address'],
    ['http: [1]', 'http  must hold keys'],
    ['http: {auth: yes}', 'http.auth  must hold keys'],
    ['http: {tls: {enabled: perhaps}}', 'http.tls.enabled  must be true or false'],
    ['database: {user: u}\ndatabases: [{name: a, user: u}]', 'stands beside databases'],
  ])('%s is a problem in its own words', async (text, message) => {
    const { problems, settings } = await load(text)
    expect(settings).toBeUndefined()
    expect(problems.join('\n')).toContain(message)
  })

  it('takes no key for one without effect that is a known one misspelt', async () => {
    const { problems, settings } = await load(
      'http:\n  adress: ":8080"\n  auth: {tokenfile: t.yaml}\ndatabases:\n  - {name: a, user: u, sslmod: verify-full}\n',
    )
    expect(settings).toBeUndefined()
    expect(problems).toEqual([
      'gateway.yaml:2:3  http.adress  is not a key of http  (did you mean "address"?)',
      'gateway.yaml:3:10  http.auth.tokenfile  is not a key of http.auth  (did you mean "token_file"?)',
      'gateway.yaml:5:24  databases[0].sslmod  is not a key of databases[0]  (did you mean "sslmode"?)',
    ])
  })

  it('reads the only one of several hosts', async () => {
    const { settings } = await load(
      'http: {}\ndatabases:\n  - {name: a, user: u, hosts: [{host: h, port: 6000}]}',
    )
    expect(settings?.databases[0]).toMatchObject({ host: 'h', port: 6000 })
  })

  it('is not a file with native keys: there, http is a mistake', async () => {
    const { problems } = await load('server: {}\nhttp: {}')
    expect(problems).toEqual([expect.stringContaining('http  is not a key of the configuration')])
  })

  it('is not a native file that only has databases', async () => {
    expect((await load('databases: [{name: a, user: u}]')).dialect).toBe('native')
  })
})
