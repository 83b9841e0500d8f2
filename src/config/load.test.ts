import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Loaded, type LoadOptions, loadSettings } from './load.ts'
import { formatProblem } from './problem.ts'

const NOW = Date.parse('2026-06-01T00:00:00Z')

let top = ''
let count = 0

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), 'postern-config-'))
})

afterAll(async () => {
  await rm(top, { recursive: true, force: true })
})

interface Attempt {
  readonly dir: string
  readonly loaded: Loaded | undefined
  readonly problems: readonly string[]
  readonly codes: readonly string[]
  readonly warnings: readonly string[]
}

/** Loads a text as a file of its own directory. */
async function attempt(
  text: string | Uint8Array | null,
  options: Partial<LoadOptions> & { readonly name?: string; readonly files?: Record<string, string> } = {},
): Promise<Attempt> {
  const { name = 'postern.yaml', files = {}, ...rest } = options
  count += 1
  const dir = join(top, String(count))
  await mkdir(dir)
  if (text !== null) await writeFile(join(dir, name), text, { mode: 0o600 })
  for (const [other, content] of Object.entries(files)) await writeFile(join(dir, other), content)
  const result = await loadSettings({
    cwd: dir,
    env: {},
    now: NOW,
    ...(text === null ? {} : { file: name }),
    ...rest,
  })
  const failed = result.ok ? undefined : result.error
  return {
    dir,
    loaded: result.ok ? result.value : undefined,
    problems: (failed?.problems ?? []).map(formatProblem),
    codes: (failed?.problems ?? []).map((problem) => problem.code),
    warnings: (result.ok ? result.value : result.error).warnings.map(formatProblem),
  }
}

describe('without a file', () => {
  it('has defaults that are closed and reachable from this machine only', async () => {
    const { loaded, dir, warnings } = await attempt(null)
    expect(warnings).toEqual([])
    expect(loaded?.file).toBeNull()
    expect(loaded?.settings).toMatchObject({
      server: { name: 'postern', host: '127.0.0.1', port: 8080, baseUrl: null, tls: null },
      dataDir: join(dir, '.postern'),
      store: { kind: 'sqlite', file: join(dir, '.postern/postern.db') },
      auth: {
        enabled: true,
        tokens: [],
        tokenFile: null,
        jwt: {
          secretFile: null,
          ttlSeconds: 3_600,
          namespace: 'postern',
          issuer: 'postern',
          audience: 'postern',
        },
        argon2: { memoryKb: 19_456, timeCost: 2, parallelism: 1 },
        passwords: { minBytes: 12, refuseCommon: true, commonFile: null, commonFileMode: 'add' },
      },
      databases: [],
      model: null,
      log: { level: 'info', format: 'json' },
      metrics: { enabled: true },
      traces: null,
    })
    expect(loaded?.sources.size).toBe(0)
  })

  it.each(['postern.yaml', 'postern.yml', 'postern.json', 'postern.jsonc'])('finds %s', async (name) => {
    const { loaded } = await attempt(null, { files: { [name]: '{"server": {"name": "found"}}' } })
    expect(loaded?.settings.server.name).toBe('found')
    expect(loaded?.file).toMatch(new RegExp(`${name}$`))
  })

  it('says so when a named file is not there', async () => {
    const { codes, problems } = await attempt(null, { file: 'none.yaml' })
    expect(codes).toEqual(['config_unreadable'])
    expect(problems[0]).toContain('config init')
  })
})

const COMPLETE = `
server:
  name: shop-gateway
  addr: ":9443"
  baseUrl: https://gateway.example.com/
  tls: { cert: ./cert.pem, key: ./key.pem }
  allowedHosts: [gateway.internal, "10.0.0.5:9443"]
  allowedOrigins: https://app.example.com
dataDir: ./data
store: postgres://postern:$env:STORE_PASSWORD@db.example.com/postern
auth:
  tokenFile: tokens.yaml
  tokens:
    ci: $env:CI_TOKEN
    report:
      hash: E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855
      level: read-write
      owner: Reporting
      tenant: acme
      scopes: [orders:read]
      databases: [shop]
      expiresAt: 2030-01-31
databases:
  - name: shop
    url: postgresql://reader@db.example.com:5433/shop?sslmode=verify-full
    password: 0123
    writer: { user: writer, password: "$env:WRITER|w" }
    statementTimeout: 2m
    maxConnections: 64
    tenants: [default, acme]
  - name: stock
    host: /var/run/postgresql
    user: reader
    tenancy: { provisioner: { user: maker, password: $env:MAKER|m } }
limits: { bodyBytes: 1MiB, rows: 50, drain: 0 }
audit: { retention: 30d }
model: { baseUrl: "http://127.0.0.1:11434/v1/", model: small }
log: { level: debug, format: text }
`

const ENV = { STORE_PASSWORD: 's3', CI_TOKEN: 'ci-token-0123456789' }

const TLS_FILES = { 'cert.pem': 'x', 'key.pem': 'x' }

describe('a complete file', () => {
  it('becomes settings', async () => {
    const { loaded, dir, problems, warnings } = await attempt(COMPLETE, { env: ENV, files: TLS_FILES })
    expect(problems).toEqual([])
    expect(warnings).toEqual([])
    const settings = loaded?.settings
    expect(settings?.server).toEqual({
      name: 'shop-gateway',
      host: '',
      port: 9443,
      baseUrl: 'https://gateway.example.com',
      tls: { certFile: join(dir, 'cert.pem'), keyFile: join(dir, 'key.pem') },
      allowedHosts: ['gateway.internal', '10.0.0.5:9443'],
      allowedOrigins: ['https://app.example.com'],
    })
    expect(settings?.store.kind === 'postgres' && settings.store.url.reveal()).toBe(
      'postgres://postern:s3@db.example.com/postern',
    )
    const [ci, report] = settings?.auth.tokens ?? []
    expect(ci).toMatchObject({
      name: 'ci',
      hash: null,
      level: 'read-only',
      owner: 'ci',
      databases: 'all',
      expiresAt: null,
    })
    expect(ci?.value?.reveal()).toBe('ci-token-0123456789')
    expect(report).toMatchObject({
      name: 'report',
      value: null,
      hash: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
      level: 'read-write',
      owner: 'Reporting',
      tenant: 'acme',
      scopes: ['orders:read'],
      databases: ['shop'],
      expiresAt: Date.parse('2030-01-31T00:00:00Z'),
    })
    expect(settings?.auth.tokenFile).toBe(join(dir, 'tokens.yaml'))
    const [shop, stock] = settings?.databases ?? []
    expect(shop).toMatchObject({
      name: 'shop',
      host: 'db.example.com',
      port: 5433,
      database: 'shop',
      user: 'reader',
      sslmode: 'verify-full',
      statementTimeoutMs: 120_000,
      maxConnections: 64,
      maxConnectionsPerCredential: 4,
      tenants: ['default', 'acme'],
      tenancy: null,
    })
    expect(shop?.password?.reveal()).toBe('0123')
    expect(shop?.writer?.user).toBe('writer')
    expect(shop?.writer?.password?.reveal()).toBe('w')
    expect(stock).toMatchObject({
      host: '/var/run/postgresql',
      port: 5432,
      database: 'reader',
      sslmode: 'prefer',
      password: null,
      tenants: null,
      tenancy: { rolePrefix: 'postern', provisioner: { user: 'maker' } },
    })
    expect(stock?.tenancy?.provisioner?.password?.reveal()).toBe('m')
    expect(settings?.limits).toMatchObject({
      bodyBytes: 1_048_576,
      rows: 50,
      drainMs: 0,
      sessionIdleMs: 1_800_000,
    })
    expect(settings?.audit.retentionMs).toBe(30 * 86_400_000)
    expect(settings?.model).toEqual({
      baseUrl: 'http://127.0.0.1:11434/v1',
      apiKey: null,
      model: 'small',
      timeoutMs: 60_000,
    })
    expect(settings?.log).toEqual({ level: 'debug', format: 'text' })
  })

  it('shows no secret when printed, and is frozen deeply', async () => {
    const { loaded } = await attempt(COMPLETE, { env: ENV, files: TLS_FILES })
    const settings = loaded?.settings
    const printed = JSON.stringify(settings)
    for (const secret of ['s3@', 'ci-token', '0123"']) expect(printed).not.toContain(secret)
    const frozen = (value: unknown): boolean =>
      typeof value !== 'object' ||
      value === null ||
      (Object.isFrozen(value) && Object.values(value).every(frozen))
    expect(frozen(settings)).toBe(true)
  })

  it('tells where each setting comes from', async () => {
    const { loaded } = await attempt(COMPLETE, {
      env: { ...ENV, POSTERN_LOG_LEVEL: 'warn' },
      files: TLS_FILES,
      overrides: { addr: '127.0.0.1:1' },
    })
    expect(loaded?.sources.get('log.level')).toBe('environment')
    expect(loaded?.sources.get('server.addr')).toBe('option')
    expect(loaded?.sources.get('databases[0].url')).toBe('file')
    expect(loaded?.sources.has('limits.resultBytes')).toBe(false)
  })

  it('means the same as JSON with comments and trailing commas', async () => {
    const { loaded, problems } = await attempt(
      `{
        // where
        "server": { "addr": "127.0.0.1:0", },
        /* who */ "auth": { "tokens": { "dev": "$env:DEV|a-development-token" } },
        "databases": [{ "name": "a", "url": "postgres://u:p%40@h/d" },],
      }`,
      { name: 'c.json' },
    )
    expect(problems).toEqual([])
    expect(loaded?.settings.server.port).toBe(0)
    expect(loaded?.settings.auth.tokens[0]?.value?.reveal()).toBe('a-development-token')
    expect(loaded?.settings.databases[0]?.password?.reveal()).toBe('p@')
  })
})

describe('problems', () => {
  it('are reported all at once, in the order of the file, with position and suggestion', async () => {
    const { problems } = await attempt(`sever:
  addr: x
server:
  adr: ":80"
  addr: "8080"
  baseUrl: ftp://x
  tls: { cert: a.pem }
addr: ":1"
auth:
  enabled: maybe
  tokens:
    a: { level: readonly, value: abcdefghijklmnopq }
    b: {}
    "": x
databases:
  - name: one
    user: u
    port: 99999
    sslmode: verify_full
  - host: h
limits: { rows: -1, bodyBytes: huge }
log: [debug]
tenants: {}
`)
    expect(problems).toEqual([
      'postern.yaml:1:1  sever  is not a key of the configuration  (did you mean "server"?)',
      'postern.yaml:4:3  server.adr  is not a key of server  (did you mean "addr"?)',
      'postern.yaml:5:9  server.addr  "8080" is not an address: use 127.0.0.1:8080 for this machine only, or :8080 for every interface',
      'postern.yaml:6:12  server.baseUrl  is not a URL that starts with http:// or https://',
      'postern.yaml:7:8  server.tls.key  is needed',
      'postern.yaml:8:1  addr  is not a key of the configuration  (did you mean "server.addr"?)',
      'postern.yaml:10:12  auth.enabled  must be true or false',
      'postern.yaml:12:17  auth.tokens.a.level  "readonly" is not possible here: use read-only, read-write or admin  (did you mean "read-only"?)',
      `postern.yaml:14:5  auth.tokens[""]  "" cannot be a name: use letters, digits, spaces and . _ - @, starting with a letter or digit, 64 at most`,
      'postern.yaml:18:11  databases[0].port  is too large: the most is 65535',
      'postern.yaml:19:14  databases[0].sslmode  "verify_full" is not possible here: use disable, prefer, require, verify-ca or verify-full  (did you mean "verify-full"?)',
      'postern.yaml:20:5  databases[1].name  is needed',
      'postern.yaml:21:17  limits.rows  is too small: the least is 1',
      'postern.yaml:21:32  limits.bodyBytes  "huge" is not a size: use 65536, 64KiB, 8MiB or 1GB',
      'postern.yaml:22:6  log  must hold keys: level, format',
      'postern.yaml:23:1  tenants  is not available in this version: remove it',
    ])
  })

  it('G9 authentication cannot be off on an address that others reach', async () => {
    for (const addr of [':8080', '0.0.0.0:8080', '[::]:8080', '192.168.1.5:80', 'gateway.example.com:80']) {
      const { problems, codes } = await attempt(null, { overrides: { addr, noAuth: true } })
      expect(codes).toEqual(['config_insecure'])
      expect(problems[0]).toMatch(/^--no-auth  auth\.enabled  authentication cannot be off on /)
      expect((await attempt(`{server: {addr: "${addr}"}, auth: {enabled: false}}`)).codes).toEqual([
        'config_insecure',
      ])
    }
    for (const addr of ['127.0.0.1:8080', 'localhost:8080', '[::1]:8080', '127.1.2.3:0']) {
      const { loaded, warnings } = await attempt(null, { overrides: { addr, noAuth: true } })
      expect(loaded?.settings.auth.enabled).toBe(false)
      expect(warnings).toEqual([expect.stringContaining('authentication is off')])
    }
  })

  it.each<[string, string, string]>([
    ['databases: [{name: a, user: u}, {name: a, user: u}]', 'config_conflict', '"a" names two databases'],
    [
      'databases: [{name: a, url: "mysql://u:hunter2@h/d"}]',
      'config_bad_value',
      'must start with postgres://',
    ],
    ['databases: [{name: a, url: "postgres://u:hunter2@h1,h2:5432/d"}]', 'config_bad_value', 'several hosts'],
    ['databases: [{name: a, url: "postgres://u:hunter2@h1:1,h2:2/d"}]', 'config_bad_value', 'several hosts'],
    ['databases: [{name: a, host: "h1,h2", user: u}]', 'config_bad_value', 'several hosts'],
    ['databases: [{name: a, url: "postgres://u:hunter2@h:x/d"}]', 'config_bad_value', 'port'],
    ['databases: [{name: a, url: "postgres://u:hunt%er2@h/d"}]', 'config_bad_value', '%25'],
    [
      'databases: [{name: a, url: "postgres://u:hunter2@h/d?sslmode=requir"}]',
      'config_bad_value',
      'require is near',
    ],
    [
      'databases: [{name: a, url: "postgres://u:hunter2@h/d?options=-csearch_path%3Dx"}]',
      'config_bad_value',
      'options',
    ],
    [
      'databases: [{name: a, url: "postgres://u:hunter2@h/d", password: x}]',
      'config_conflict',
      'is in the url, too',
    ],
    ['databases: [{name: a, url: "postgres://h/d"}]', 'config_missing', 'names no user'],
    [
      'databases: [{name: a, url: "postgres://u@h/d", writerUrl: "postgres://w:hunter2@g/d"}]',
      'config_conflict',
      'another host',
    ],
    [
      'databases: [{name: a, user: u, writer: {user: w}, writerUrl: "postgres://w@localhost/u"}]',
      'config_conflict',
      'beside writer',
    ],
    [
      'databases: [{name: a, user: u, writer: {user: w}, tenancy: {}}]',
      'config_conflict',
      'stands beside a writing role',
    ],
    ['databases: [{name: a, user: u, tenancy: {rolePrefix: Acme}}]', 'config_bad_value', 'small letters'],
    ['databases: [{name: a, user: u, tenancy: {rolePrefix: pg_x}}]', 'config_bad_value', 'not with pg_'],
    ['databases: [{name: a, user: u, tenancy: {provisioner: {}}}]', 'config_missing', 'user'],
    ['databases: [{name: a, user: u, tenants: {x: y}}]', 'config_wrong_type', 'list'],
    ['databases: [{name: a, user: u, sslRootCert: none.pem}]', 'config_unreadable', 'none.pem'],
    ['databases: [{name: a, user: u, maxConnections: 2}]', 'config_conflict', 'maxConnections (2)'],
    ['databases: {name: a}', 'config_wrong_type', 'put a dash'],
    ['store: mysql://hunter2@h/d', 'config_bad_value', 'postgres://'],
    [
      'auth: {tokens: {a: same-token-0123456789, b: same-token-0123456789}}',
      'config_conflict',
      'same token as auth.tokens.a',
    ],
    ['auth: {tokens: {a: {value: same-token-0123456789, hash: x}}}', 'config_conflict', 'keep one'],
    ['auth: {tokens: {a: {hash: hunter2}}}', 'config_bad_value', '64 hex digits'],
    ['auth: {tokens: {a: "hunter2 with spaces in it"}}', 'config_bad_value', 'no client can send'],
    [
      'auth: {tokens: {a: {value: same-token-0123456789, expiresAt: 2030-02-30}}}',
      'config_bad_value',
      'not a moment',
    ],
    [
      '{databases: [{name: shop, user: u}], auth: {tokens: {a: {value: same-token-0123456789, databases: [shp]}}}}',
      'config_bad_value',
      '(did you mean "shop"?)',
    ],
    ['auth: {jwt: {algorithm: none}}', 'config_bad_value', 'use HS256, RS256 or EdDSA'],
    ['auth: {oauth: {}}', 'config_not_available', 'not available in this version'],
    ['tools: {}', 'config_not_available', 'not available in this version'],
    ['tenants: []', 'config_not_available', 'not available in this version'],
    ['server: {baseUrl: "https://h/?a=b"}', 'config_bad_value', 'query'],
    ['server: {baseUrl: "https://u:hunter2@h/"}', 'config_bad_value', 'password'],
    ['server: {tls: {cert: a.pem, key: b.pem}}', 'config_unreadable', 'a.pem'],
    ['server: {allowedHosts: ["*.example.com"]}', 'config_bad_value', 'wildcard'],
    ['server: {allowedOrigins: ["*"]}', 'config_bad_value', 'wildcard'],
    ['server: {allowedOrigins: ["https://a.example/path"]}', 'config_bad_value', 'not an origin'],
    ['server: {name: "a\\nb"}', 'config_bad_value', 'control character'],
    ['limits: {sessions: 1}', 'config_conflict', 'limits.sessions (1)'],
    ['model: {}', 'config_missing', 'is needed'],
    ['__proto__: {server: {}}', 'config_unknown_key', '__proto__'],
    ['constructor: 1', 'config_unknown_key', 'constructor'],
    [
      'auth: {tokens: {__proto__: {level: admin, value: same-token-0123456789}}}',
      'config_bad_value',
      'cannot be a name',
    ],
    ['auth: {tokens: {pst_abcdefghijklmnop!: ci}}', 'config_bad_value', 'pst_…'],
    ['server: $env:NOT_SET', 'config_missing_variable', 'NOT_SET'],
  ])('%s', async (yaml, code, message) => {
    const { codes, problems, loaded } = await attempt(yaml)
    expect(loaded).toBeUndefined()
    expect(codes).toContain(code)
    expect(problems.join('\n')).toContain(message)
    expect(problems.join('\n')).not.toContain('hunter2')
    expect(problems[0]).toMatch(/^postern\.yaml:\d+:\d+ {2}/)
  })

  it('name every key that a URL holds, too', async () => {
    const { problems } = await attempt(
      'databases: [{name: a, url: "postgres://u:p@h/d", user: u, password: p, port: 1}]',
    )
    expect(problems.map((line) => line.split('  ')[1])).toEqual([
      'databases[0].user',
      'databases[0].password',
    ])
  })

  it('name every missing variable, and say nothing else about their values', async () => {
    const { codes, problems } = await attempt(
      'server: {addr: $env:A}\nauth: {tokens: {t: $env:B}}\ndatabases: [{name: x, url: $env:C}]',
    )
    expect(codes).toEqual(['config_missing_variable', 'config_missing_variable', 'config_missing_variable'])
    expect(problems.join()).toMatch(/variable A.*variable B.*variable C/s)
  })

  it('never show what came out of the environment', async () => {
    const { problems } = await attempt(
      'server: {addr: $env:S}\nlog: {level: $env:S}\nlimits: {rows: $env:S, bodyBytes: $env:S, drain: $env:S}\ndatabases: [{name: $env:S, url: $env:S}]',
      { env: { S: 'hunter2?' } },
    )
    expect(problems.length).toBeGreaterThanOrEqual(6)
    expect(problems.join()).not.toContain('hunter2')
  })

  it('TLS was asked for without a certificate', async () => {
    expect((await attempt(null, { overrides: { tls: true } })).problems).toEqual([
      '--tls  server.tls  needs a certificate and a key: add --cert and --key, or server.tls.cert and server.tls.key',
    ])
    const half = await attempt(null, { overrides: { tls: true, tlsCert: 'a.pem' } })
    expect(half.problems).toEqual(['--cert  server.tls.key  is needed'])
  })
})

describe('warnings', () => {
  it.each<[string, string]>([
    ['auth: {tokens: {a: short}}', 'fewer than 16 characters'],
    ['auth: {tokens: {a: {value: same-token-0123456789, expiresAt: 2020-01-01}}}', 'has expired'],
    ['server: {addr: ":8080"}', 'without TLS'],
    ['databases: [{name: a, url: "postgres://u@h/d?channel_binding=require"}]', 'channel_binding'],
  ])('%s', async (yaml, message) => {
    const { warnings, problems, loaded } = await attempt(yaml)
    expect(problems).toEqual([])
    expect(loaded).toBeDefined()
    expect(warnings).toEqual([expect.stringContaining(message)])
  })

  it('a file with a secret that everybody can read', async () => {
    const files = {
      'open.yaml': 'auth: {tokens: {a: same-token-0123456789}}',
      'safe.yaml': 'auth: {tokens: {a: $env:T}}',
    }
    const env = { T: 'same-token-0123456789' }
    const { dir } = await attempt(null, { files })
    for (const name of Object.keys(files)) await chmod(join(dir, name), 0o644)
    const open = await loadSettings({ cwd: dir, env, file: 'open.yaml' })
    expect(open.ok && open.value.warnings.map(formatProblem)).toEqual([expect.stringContaining('mode 0644')])
    await chmod(join(dir, 'open.yaml'), 0o600)
    const closed = await loadSettings({ cwd: dir, env, file: 'open.yaml' })
    expect(closed.ok && closed.value.warnings).toEqual([])
    const safe = await loadSettings({ cwd: dir, env, file: 'safe.yaml' })
    expect(safe.ok && safe.value.warnings).toEqual([])
  })
})

describe('environment variables', () => {
  it('go before the file, for every kind of key', async () => {
    const { loaded, problems, dir } = await attempt(
      'server: {addr: "127.0.0.1:1", allowedHosts: [a]}\nauth: {tokens: {ci: from-the-file-0123456}}\ndatabases: [{name: main-db, url: "postgres://u:old@h/d"}]',
      {
        env: {
          POSTERN_SERVER_ADDR: '127.0.0.1:2',
          POSTERN_SERVER_ALLOWED_HOSTS: 'b.example, c.example',
          POSTERN_DATA_DIR: 'elsewhere',
          POSTERN_AUTH_TOKENS_CI_LEVEL: 'admin',
          POSTERN_AUTH_TOKENS_DEPLOY_VALUE: 'deploy-token-0123456',
          POSTERN_AUTH_TOKENS_DEPLOY_DATABASES: 'main-db,second',
          POSTERN_DATABASES_MAIN_DB_PASSWORD: 'new',
          POSTERN_DATABASES_MAIN_DB_WRITER_USER: 'writer',
          POSTERN_DATABASES_SECOND_URL: 'postgres://u2@h2/d2',
          POSTERN_LIMITS_ROWS: '7',
          POSTERN_LOG_FORMAT: '',
          POSTERN_TOKEN: 'of-a-client',
          POSTERN_CONFIG: 'read elsewhere',
          POSTERN_DEBUG: '1',
          POSTERN_LAUNCHED: '1',
          POSTERN_SERVICE_HOST: '10.0.0.1',
          POSTERN_PORT_8080_TCP_ADDR: '10.0.0.1',
        },
      },
    )
    expect(problems).toEqual([])
    const settings = loaded?.settings
    expect(settings?.server).toMatchObject({ port: 2, allowedHosts: ['b.example', 'c.example'] })
    expect(settings?.dataDir).toBe(join(dir, 'elsewhere'))
    expect(settings?.auth.tokens).toMatchObject([
      { name: 'ci', level: 'admin' },
      { name: 'deploy', databases: ['main-db', 'second'] },
    ])
    expect(settings?.auth.tokens[0]?.value?.reveal()).toBe('from-the-file-0123456')
    expect(settings?.databases).toMatchObject([
      { name: 'main-db', writer: { user: 'writer' } },
      { name: 'second', host: 'h2', user: 'u2', database: 'd2' },
    ])
    expect(settings?.databases[0]?.password?.reveal()).toBe('new')
    expect(settings?.limits.rows).toBe(7)
    expect(settings?.log.format).toBe('json')
    expect(loaded?.warnings).toEqual([])
  })

  it('are named when wrong, without their value', async () => {
    const { problems } = await attempt(null, {
      env: { POSTERN_LOG_LEVEL: 'hunter2', POSTERN_LIMITS_ROWS: '1.5' },
    })
    expect(problems.toSorted()).toEqual([
      'POSTERN_LIMITS_ROWS  limits.rows  the value of the environment variable is not a whole number',
      'POSTERN_LOG_LEVEL  log.level  the value of the environment variable is not possible here: use debug, info, warn or error',
    ])
  })

  it('are warned about when misspelt', async () => {
    const { warnings } = await attempt(null, { env: { POSTERN_SEVER_ADDR: 'x' } })
    expect(warnings).toEqual([
      'POSTERN_SEVER_ADDR  is not a variable that Postern reads  (did you mean "POSTERN_SERVER_ADDR"?)',
    ])
  })

  it('cannot mean two databases', async () => {
    const { problems } = await attempt('databases: [{name: a-b, user: u}, {name: a_b, user: u}]', {
      env: { POSTERN_DATABASES_A_B_PASSWORD: 'x' },
    })
    expect(problems).toEqual(['POSTERN_DATABASES_A_B_PASSWORD  could mean a-b or a_b: rename one of them'])
  })
})

describe('options of the command line', () => {
  it('go before file and environment, relative to where they were typed', async () => {
    const { loaded, dir } = await attempt('dataDir: in-file\nserver: {addr: ":1"}\nauth: {tokenFile: f}', {
      env: { POSTERN_DATA_DIR: 'in-environment' },
      files: TLS_FILES,
      overrides: {
        addr: '[::1]:3',
        dataDir: 'typed',
        tokenFile: 'typed.yaml',
        tlsCert: 'cert.pem',
        tlsKey: 'key.pem',
      },
    })
    expect(loaded?.settings).toMatchObject({
      server: { host: '::1', port: 3, tls: { certFile: join(dir, 'cert.pem') } },
      dataDir: join(dir, 'typed'),
      auth: { tokenFile: join(dir, 'typed.yaml') },
    })
  })
})

describe('broken files', () => {
  it.each<[string, string | Uint8Array, string, string]>([
    ['YAML that is not closed', 'server: {addr: ":1"', 'p.yaml', 'config_syntax'],
    ['a truncated string', 'server:\n  name: "post', 'p.yaml', 'config_syntax'],
    ['tabs', 'server:\n\tname: x', 'p.yaml', 'config_syntax'],
    ['a duplicate key in YAML', 'log: {}\nlog: {}', 'p.yaml', 'config_duplicate_key'],
    ['a duplicate key in JSON', '{"log": {}, "log": {}}', 'p.json', 'config_duplicate_key'],
    ['truncated JSON', '{"server": {"addr": ', 'p.json', 'config_syntax'],
    ['a custom tag', 'server: !!js/function "x"', 'p.yaml', 'config_syntax'],
    ['a binary tag', 'server: {name: !!binary aGk=}', 'p.yaml', 'config_syntax'],
    ['two documents', 'log: {}\n---\nlog: {}', 'p.yaml', 'config_syntax'],
    ['a list at the top', '- a', 'p.yaml', 'config_wrong_type'],
    ['a word', 'hello', 'p.yaml', 'config_wrong_type'],
    ['an alias to itself', 'log: &a {level: *a}', 'p.yaml', 'config_too_large'],
    ['deep YAML', '['.repeat(5_000), 'p.yaml', 'config_syntax'],
    ['deep JSON', '['.repeat(500_000), 'p.json', 'config_too_large'],
    ['more than 1 MiB', `# ${'x'.repeat(1_048_577)}`, 'p.yaml', 'config_too_large'],
    ['too many values', `databases: [${'1,'.repeat(30_000)}]`, 'p.yaml', 'config_too_large'],
    [
      'binary garbage',
      Uint8Array.from({ length: 4_096 }, (_, i) => (i * 131) % 256),
      'p.yaml',
      'config_syntax',
    ],
    ['bytes that are not UTF-8', Uint8Array.from([0x61, 0x3a, 0x20, 0xff, 0xfe]), 'p.yaml', 'config_syntax'],
  ])('%s is a clear problem', async (_, text, name, code) => {
    const { codes, problems, loaded } = await attempt(text, { name })
    expect(loaded).toBeUndefined()
    expect(codes).toContain(code)
    expect(problems.join()).not.toMatch(/undefined|\bat .*\.ts/)
  })

  it('multiplying aliases stop at a bound', async () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x]']
    for (let i = 1; i <= 9; i += 1)
      lines.push(
        `a${i}: &a${i} [${Array(9)
          .fill(`*a${i - 1}`)
          .join(', ')}]`,
      )
    const { codes } = await attempt(lines.join('\n'))
    expect(codes).toContain('config_syntax')
  })

  it('a password that YAML misreads is not printed', async () => {
    for (const yaml of [
      'password: *hunter2',
      'password: &hunter2',
      'password: %hunter2',
      'password: @hunter2',
      'password: [hunter2',
      "password: 'hunter2",
    ]) {
      const { problems } = await attempt(`databases:\n  - name: a\n    user: u\n    ${yaml}\n`)
      expect(problems.join()).not.toContain('hunter2')
    }
  })

  it.each(['', '\n', '# nothing\n', '---\n', '\uFEFF', 'server:\ndatabases:\nmodel:\nauth:\n  tokens:\n'])(
    'a file that says nothing means the defaults: %j',
    async (text) => {
      const { loaded, problems } = await attempt(text)
      expect(problems).toEqual([])
      expect(loaded?.settings.server.port).toBe(8080)
    },
  )

  it('a directory is not a file', async () => {
    const { dir } = await attempt(null)
    const result = await loadSettings({ cwd: dir, env: {}, file: '.' })
    expect(!result.ok && result.error.problems.map((problem) => problem.code)).toEqual(['config_unreadable'])
  })
})

describe('any input', () => {
  const keyword = fc.constantFrom(
    'server',
    'auth',
    'databases',
    'tokens',
    'name',
    'url',
    'addr',
    'tls',
    'writer',
    'limits',
    'rows',
    'model',
    'store',
    'http',
    'database',
    'hosts',
    '$env',
    '__proto__',
    'constructor',
    'toString',
  )
  const value = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      fc.oneof(
        fc.string(),
        fc.double(),
        fc.boolean(),
        fc.constant(null),
        fc.constantFrom('$env:X', '$env:', ':8080', 'postgres://u@h/d', 'all'),
      ),
      fc.array(tie('value'), { maxLength: 4 }),
      fc
        .array(fc.tuple(fc.oneof(keyword, fc.string()), tie('value')), { maxLength: 6 })
        .map((entries) => ({ entries })),
    ),
  })).value
  const json = (input: unknown): string => {
    if (Array.isArray(input)) return `[${input.map(json).join(',')}]`
    if (typeof input === 'object' && input !== null && 'entries' in input)
      return `{${(input.entries as [string, unknown][]).map(([key, member]) => `${JSON.stringify(key)}:${json(member)}`).join(',')}}`
    return JSON.stringify(input) ?? 'null'
  }

  it.each(['p.json', 'p.yaml'])('gives settings or problems, and never throws (%s)', async (name) => {
    const dir = join(top, `any-${name}`)
    await mkdir(dir)
    const file = join(dir, name)
    await fc.assert(
      fc.asyncProperty(fc.oneof(value.map(json), fc.string()), async (text) => {
        await writeFile(file, text)
        const result = await loadSettings({ cwd: dir, env: { X: 'x' }, file })
        if (result.ok) expect(Object.isFrozen(result.value.settings)).toBe(true)
        else expect(result.error.problems.length).toBeGreaterThan(0)
      }),
      { numRuns: 300 },
    )
  })

  it('gives settings or problems for any environment', async () => {
    const dir = join(top, 'any-environment')
    await mkdir(dir)
    const variable = fc.constantFrom(
      'POSTERN_DATABASES_A_URL',
      'POSTERN_DATABASES__URL',
      'POSTERN_AUTH_TOKENS_A_VALUE',
      'POSTERN_AUTH_TOKENS___PROTO___VALUE',
      'POSTERN_STORE',
      'POSTERN_SERVER_ADDR',
      'POSTERN_MODEL_BASE_URL',
      'POSTERN_X',
    )
    await fc.assert(
      fc.asyncProperty(fc.dictionary(variable, fc.string()), async (env) => {
        const result = await loadSettings({ cwd: dir, env })
        if (!result.ok) expect(result.error.problems.length).toBeGreaterThan(0)
      }),
      { numRuns: 200 },
    )
  })
})
