import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningGateway, startGateway } from '../../support/gateway.ts'
import { ask, callTool } from '../../support/postern.ts'
import { type TestDatabase, testPostgres } from '../../support/postgres.ts'

interface Credential {
  readonly id: string
  readonly token: string
}

interface Explanation {
  readonly credential_id: string
  readonly tool: string
  readonly allowed: boolean
  readonly rule: string
  readonly message: string
  readonly code?: string
  readonly instead?: string
}

let databases: readonly TestDatabase[]
let gateway: RunningGateway
const credentials: Record<string, Credential> = {}

beforeAll(async () => {
  const postgres = await testPostgres()
  const [first, second] = [await postgres.createDatabase(), await postgres.createDatabase()]
  databases = [first, second]
  gateway = await startGateway({
    configuration: {
      databases: [
        { name: 'first', url: first.readerUrl },
        { name: 'second', url: second.readerUrl },
      ],
    },
  })
  credentials['reader'] = await gateway.issue({ note: 'reader' })
  credentials['writer'] = await gateway.issue({ note: 'writer', level: 'read-write' })
  credentials['bound'] = await gateway.issue({ note: 'bound', databases: ['second'] })
  credentials['nothing'] = await gateway.issue({ note: 'nothing', databases: [] })
  credentials['admin'] = await gateway.issue({ note: 'admin', level: 'admin' })
  credentials['gone'] = await gateway.issue({ note: 'gone' })
  await ask(`${gateway.url}/api/v1/admin/tokens/${credentials['gone'].id}`, gateway.admin, {
    method: 'DELETE',
  })
})
afterAll(async () => {
  await gateway?.close()
  await Promise.all((databases ?? []).map((one) => one.drop()))
})

/** A call that only fails where it is refused: no tool needs anything that an empty database has not. */
const ARGUMENTS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  query_database: { query: 'SELECT 1' },
  get_schema_info: {},
  execute_explain: { query: 'SELECT 1' },
  count_rows: { table: 'pg_catalog.pg_class' },
  schema_search: { query: 'x' },
  no_such_tool: {},
}

const WHO = ['reader', 'writer', 'bound', 'nothing', 'admin'] as const
const MATRIX = WHO.flatMap((who) =>
  Object.keys(ARGUMENTS).flatMap((tool) =>
    [undefined, 'first', 'second'].map((database) => ({ who, tool, database })),
  ),
)

const explained = async (
  token: string,
  query: Readonly<Record<string, string | undefined>>,
): Promise<Explanation> => {
  const given = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined)
  const { status, body } = await ask(
    `${gateway.url}/api/v1/access/explain?${new URLSearchParams(given).toString()}`,
    token,
  )
  expect(status, JSON.stringify(body)).toBe(200)
  return body as Explanation
}

const credential = (who: string): Credential => credentials[who] as Credential

/** Refusals that the decision makes; what a table or statement is found to be later is not its business. */
const DECIDED = new Set(['level', 'scope', 'server', 'database', 'tool'])

describe('C3 access explain', () => {
  it.each(WHO)(
    'C3 agrees with what happens on REST and on MCP, for every tool and database: %s',
    async (who) => {
      const { id, token } = credential(who)
      for (const { tool, database } of MATRIX.filter((one) => one.who === who)) {
        const place = `${who} ${tool} ${database ?? '(default)'}`
        const own = await explained(token, { tool, database })
        const asked = await explained(gateway.admin, { tool, database, credential_id: id })
        expect(asked, place).toEqual(own)
        expect(own.credential_id).toBe(id)

        const args = { ...ARGUMENTS[tool], ...(database === undefined ? {} : { database }) }
        const rest = await ask(`${gateway.url}/mcp/tools/${tool}`, token, { json: args })
        const refused = rest.body as { code?: string; rule?: string; message?: string; allowed?: string }
        const wasDecided = rest.status >= 400 && DECIDED.has(refused.rule ?? '')
        expect(own.allowed, `${place}: ${JSON.stringify(rest.body)}`).toBe(!wasDecided)
        if (own.allowed) continue
        expect(own, place).toMatchObject({ rule: refused.rule, code: refused.code, message: refused.message })
        expect(own.instead).toBe(refused.allowed)
        if (own.code === 'unknown_tool') continue
        const mcp = await callTool(gateway.url, token, tool, args)
        expect(mcp._meta?.['postern/refusal'], place).toMatchObject({ code: own.code, rule: own.rule })
      }
    },
  )

  it('C3 agrees for SQL at /api/v1/query', async () => {
    for (const who of WHO) {
      for (const database of [undefined, 'first', 'second']) {
        const own = await explained(credential(who).token, { tool: 'sql', database })
        const { status, body } = await ask(`${gateway.url}/api/v1/query`, credential(who).token, {
          json: { sql: 'SELECT 1', ...(database === undefined ? {} : { database }) },
        })
        expect(own.allowed, `${who} ${database}: ${JSON.stringify(body)}`).toBe(status === 200)
      }
    }
  })

  it.each([
    ['reader', 'query_database', undefined],
    ['bound', 'query_database', 'first'],
    ['bound', 'count_rows', 'second'],
    ['nothing', 'schema_search', 'first'],
    ['admin', 'no_such_tool', undefined],
    ['writer', 'sql', undefined],
    ['gone', 'query_database', undefined],
  ] as const)('C3 the command line says the same as the API: %s %s %s', async (who, tool, database) => {
    const { id } = credential(who)
    const where = database === undefined ? [] : ['--database', database]
    const said = await gateway.postern([
      'access',
      'explain',
      '--token-id',
      id,
      '--tool',
      tool,
      ...where,
      '--json',
    ])
    const api = await explained(gateway.admin, { tool, database, credential_id: id })
    expect(said.stderr).toBe('')
    const { message: sentence, ...rest } = JSON.parse(said.stdout) as Explanation
    const { message, ...other } = api
    expect(rest).toEqual(other)
    // One calls it a token, the other a credential.
    expect(sentence.replace('token', 'credential')).toBe(message)
    expect(said.code).toBe(api.allowed ? 0 : 1)
  })

  it('C3 for people, the command line names rule and what is allowed', async () => {
    const { id } = credential('bound')
    const said = await gateway.postern([
      'access',
      'explain',
      '--token-id',
      id,
      '--tool',
      'count_rows',
      '--database',
      'first',
    ])
    expect(said.code).toBe(1)
    expect(said.stdout).toContain('Refused: database "first" is not open to this credential')
    expect(said.stdout).toMatch(/Rule: +database$/m)
    expect(said.stdout).toMatch(/Allowed: +databases second$/m)
  })

  it('C3 an ended credential may do nothing, and the rule says why', async () => {
    const { id } = credential('gone')
    expect(await explained(gateway.admin, { tool: 'query_database', credential_id: id })).toMatchObject({
      allowed: false,
      rule: 'credential.revoked',
    })
  })

  it('C3 only an administrator asks about another credential; an unknown one is not found', async () => {
    const url = `${gateway.url}/api/v1/access/explain?tool=query_database&credential_id=`
    const other = await ask(`${url}${credential('bound').id}`, credential('reader').token)
    expect(other).toMatchObject({ status: 403, body: { rule: 'level', allowed: 'its own credential' } })
    expect(await ask(`${url}tok_none`, gateway.admin)).toMatchObject({
      status: 404,
      body: { rule: 'token.id' },
    })
    const cli = await gateway.postern([
      'access',
      'explain',
      '--token-id',
      'tok_none',
      '--tool',
      'x',
      '--json',
    ])
    expect(cli.code).toBe(1)
    expect(JSON.parse(cli.stdout)).toMatchObject({ error: 'refused', code: 'not_found', rule: 'token.id' })
  })

  it('C3 runs nothing: the record has no decision and no execution for an explanation', async () => {
    const { id, token } = await gateway.issue({ note: 'asks only' })
    for (const tool of Object.keys(ARGUMENTS)) await explained(token, { tool })
    await expect
      .poll(
        async () => {
          const { body } = await ask(`${gateway.url}/api/v1/admin/audit?credential=${id}`, gateway.admin)
          return (body as { entries: { kind: string }[] }).entries.map(({ kind }) => kind)
        },
        { timeout: 20_000 },
      )
      .toEqual(Object.keys(ARGUMENTS).map(() => 'authentication'))
  })
})
