import type { Refusal } from '../src/access/refusal.ts'
import type { TokenRecord } from '../src/identity/tokens.ts'
import type { Command, ExitCode, Given, Invocation } from './command.ts'
import { printable } from './text.ts'
import { TOKEN_FILE_OPTION } from './token-file-option.ts'

export const command: Command = {
  name: 'access explain',
  summary: 'say whether a token may call a tool, and which rule decides',
  description:
    'The decision is the one that the gateway would take now; nothing is called. Exit code 0 means allowed, ' +
    '1 refused.',
  options: [
    { name: 'token-id', value: 'ID', summary: 'the id of the token; needed' },
    { name: 'tool', value: 'NAME', summary: 'the tool; needed' },
    {
      name: 'server',
      value: 'NAME',
      summary: 'the MCP server that has the tool',
      standard: 'postern itself',
    },
    { name: 'database', value: 'NAME', summary: 'the database that the call would name' },
    TOKEN_FILE_OPTION,
  ],
  examples: [
    ['postern access explain --token-id tok_… --tool query_database --database staging', 'why, or why not'],
  ],
  run,
}

interface Explanation {
  readonly allowed: boolean
  readonly rule: string
  readonly refusal?: Refusal
}

async function run(invocation: Invocation, given: Given): Promise<ExitCode> {
  const id = given.text('token-id')
  const tool = given.text('tool')
  if (id === undefined) return invocation.misuse('--token-id is missing: postern token list shows the ids')
  if (tool === undefined) return invocation.misuse('--tool is missing: the name of the tool to explain')

  const { withTokens } = await import('./with-tokens.ts')
  return await withTokens(invocation, given, async ({ tokens, settings }) => {
    const record = (await tokens.find(id)).find((one) => one.id === id)
    const { refusal } = await import('../src/access/refusal.ts')
    if (!record)
      return invocation.refuse(
        refusal('not_found', 'token.id', 'there is no token with that id: postern token list shows them'),
      )
    const database = given.text('database')
    const server = given.text('server')
    const question = { tool, server, database }
    const { explainingPipeline } = await import('./explaining-pipeline.ts')
    const pipeline = await explainingPipeline(settings, invocation.clock)
    const { callerOfToken } = await import('../src/identity/caller-of-token.ts')
    const caller = callerOfToken(record)
    const { OWN_SERVER } = await import('../src/access/decide.ts')
    if (record.status !== 'valid') {
      const message = `this token is ${record.status}: it may do nothing`
      const rule = `credential.${record.status}`
      return show(invocation, record, question, {
        allowed: false,
        rule,
        refusal: refusal('unauthorized', rule, message),
      })
    }
    if (server !== undefined && server !== OWN_SERVER) {
      const { decide } = await import('../src/access/decide.ts')
      const rule = { name: tool, server, level: 'read-only', scopes: [] } as const
      const decided = decide(caller.grant, caller.credential, { tool: rule }, invocation.clock.now())
      const missing = refusal('not_found', 'server', `there is no server "${server}" behind this gateway`)
      return show(invocation, record, question, {
        allowed: false,
        rule: decided.outcome === 'refuse' ? decided.rule : missing.rule,
        refusal: decided.outcome === 'refuse' ? decided.refusal : missing,
      })
    }
    return show(invocation, record, question, pipeline.explain(caller, tool, database))
  })
}

function show(
  invocation: Invocation,
  record: TokenRecord,
  question: {
    readonly tool: string
    readonly server: string | undefined
    readonly database: string | undefined
  },
  { allowed, rule, refusal }: Explanation,
): ExitCode {
  const { style } = invocation
  const { tool, server, database } = question
  const message = refusal?.message ?? 'this credential may do that'
  const aim = [
    tool,
    ...(server === undefined ? [] : [`of ${server}`]),
    ...(database === undefined ? [] : [`on ${database}`]),
  ]
  const note = record.note === '' ? '' : ` (${printable(record.note)})`
  invocation.answer(
    {
      credential_id: record.id,
      tool,
      ...(server === undefined ? {} : { server }),
      ...(database === undefined ? {} : { database }),
      allowed,
      rule,
      message,
      ...(refusal === undefined ? {} : { code: refusal.code }),
      ...(refusal?.allowed === undefined ? {} : { instead: refusal.allowed }),
      ...(refusal?.scopes === undefined ? {} : { scopes: refusal.scopes }),
    },
    [
      `${style.bold(allowed ? 'Allowed' : 'Refused')}: ${printable(message)}`,
      '',
      `  ${style.dim('Token:')}    ${record.id}${note}, ${record.level}`,
      `  ${style.dim('Tool:')}     ${printable(aim.join(' '))}`,
      `  ${style.dim('Rule:')}     ${rule}`,
      ...(refusal?.allowed === undefined ? [] : [`  ${style.dim('Allowed:')}  ${refusal.allowed}`]),
    ].join('\n'),
  )
  return allowed ? 0 : 1
}
