import type { NewToken } from '../src/identity/tokens.ts'
import { FIRST_TENANT } from '../src/identity/first-tenant.ts'
import { LEVELS } from '../src/identity/grant.ts'
import { RECOMMENDED_AGE_MS } from '../src/identity/lifetimes.ts'
import { DAY_MS, parseExpiry } from '../src/lib/duration.ts'
import type { CliCode } from './codes.ts'
import type { Command, ExitCode, Given, Invocation } from './command.ts'
import type { TokenDetails } from './token-questions.ts'
import { TOKEN_FILE_OPTION } from './token-file-option.ts'

export const command: Command = {
  name: 'token add',
  summary: 'issue a token',
  description:
    'Works while the gateway runs: the token is good at once. Its value is shown this once. On a terminal, ' +
    'without options, the details are asked for.',
  options: [
    { name: 'note', value: 'TEXT', summary: 'what the token is for' },
    { name: 'owner', value: 'NAME', summary: 'the person or service that has it', standard: 'the note' },
    {
      name: 'level',
      value: 'LEVEL',
      summary: 'what it allows',
      choices: LEVELS,
      standard: 'read-only',
    },
    {
      name: 'expiry',
      value: 'TIME',
      summary: 'how long it lives: 12h, 30d, 2w, 1y or never',
      standard: '90d, 30d or 14d by level',
    },
    { name: 'tenant', value: 'NAME', summary: 'the tenant whose data it sees', standard: FIRST_TENANT },
    {
      name: 'database',
      value: 'NAME',
      summary: 'a database it may use; the first one is its default',
      standard: 'all',
      many: true,
    },
    { name: 'server', value: 'NAME', summary: 'an MCP server it may use', standard: 'all', many: true },
    { name: 'scope', value: 'SCOPE', summary: 'a scope it is granted', standard: 'all', many: true },
    { name: 'ask', summary: 'ask for note, database and expiry where they are not given' },
    {
      name: 'into',
      value: 'PLACE',
      summary: 'where it is kept; configured means the token file if there is one, else the store',
      choices: ['store', 'token-file', 'configured'],
      standard: 'store, or token-file with --token-file',
    },
    TOKEN_FILE_OPTION,
  ],
  examples: [
    ['postern token add --note "Production API" --expiry 90d', 'a read-only token for 90 days'],
    [
      'postern token add --note "Night import" --level read-write --database staging',
      'one that may also write, in one database',
    ],
  ],
  run,
}

const DETAIL_OPTIONS = [
  'note',
  'owner',
  'level',
  'expiry',
  'tenant',
  'database',
  'server',
  'scope',
  'into',
  'token-file',
] as const

async function run(invocation: Invocation, given: Given): Promise<ExitCode> {
  const expiry = given.text('expiry')
  const parsed = expiry === undefined ? undefined : parseExpiry(expiry)
  if (parsed?.ok === false) return invocation.misuse(parsed.error, 'invalid_value')

  const { withTokens } = await import('./with-tokens.ts')
  return await withTokens(invocation, given, async ({ tokens, databases, tokenFile }) => {
    const into = given.text('into') ?? (given.text('token-file') === undefined ? 'store' : 'token-file')
    if (into === 'token-file' && tokenFile === null)
      return invocation.misuse('there is no token file: name one with --token-file FILE')
    const unknown = given.list('database')?.find((name) => databases.length > 0 && !databases.includes(name))
    if (unknown !== undefined)
      return invocation.fail({
        code: 'unknown_database' satisfies CliCode,
        message: `there is no database "${unknown}" in the configuration: there is ${databases.join(', ')}`,
        details: { candidates: databases },
      })

    const level = LEVELS.find((known) => known === given.text('level')) ?? 'read-only'
    let details: TokenDetails = {
      ...optional('note', given.text('note')),
      ...optional('databases', given.list('database')),
      ...(parsed === undefined ? {} : { expiresInMs: parsed.value }),
    }
    if (given.flag('ask') || (invocation.interactive && !given.any(...DETAIL_OPTIONS))) {
      const { askForDetails } = await import('./token-questions.ts')
      const asked = await askForDetails(invocation, details, {
        databases,
        standardDays: RECOMMENDED_AGE_MS[level] / DAY_MS,
      })
      if (!asked.ok) return invocation.fail(asked.error)
      details = asked.value
      if (invocation.interactive) invocation.note('')
    }
    // Asked or not: a token of the single-dash command line that names no database is bound to the default one.
    if (into === 'configured' && details.databases === undefined && databases[0] !== undefined) {
      details = { ...details, databases: [databases[0]] }
    }

    const input: NewToken = {
      ...details,
      note: details.note ?? '',
      level,
      ...optional('owner', given.text('owner')),
      ...optional('tenant', given.text('tenant')),
      ...optional('servers', given.list('server')),
      ...optional('scopes', given.list('scope')),
    }
    const issued = await tokens.add(input, {
      into: into === 'store' || tokenFile === null ? 'store' : 'token-file',
    })
    if (!issued.ok) return invocation.refuse(issued.error)
    const { issuedText } = await import('./token-shown.ts')
    const { issuedTokenJson } = await import('../src/identity/token-json.ts')
    invocation.answer(
      issuedTokenJson(issued.value),
      issuedText('Token created', issued.value, invocation.clock.now(), invocation.style),
    )
    return 0
  })
}

/** One member, or none: an option that was not given stays absent. */
const optional = <K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> =>
  value === undefined ? {} : ({ [key]: value } as Record<K, V>)
