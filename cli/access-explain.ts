import type { TokenRecord } from '../src/identity/tokens.ts'
import type { Question } from '../src/tools/all-tools.ts'
import type { Explanation } from '../src/tools/backend/explain.ts'
import type { Command, ExitCode, Given, Invocation } from './command.ts'
import { printable } from './text.ts'
import { TOKEN_FILE_OPTION } from './token-file-option.ts'

export const command: Command = {
  name: 'access explain',
  summary: 'say whether a token may call a tool or use a server, and which rule decides',
  description:
    'The decision is the one that the gateway would take now; nothing is called. Exit code 0 means allowed, ' +
    '1 refused.',
  options: [
    { name: 'token-id', value: 'ID', summary: 'the id of the token; needed' },
    { name: 'tool', value: 'NAME', summary: 'the tool, as the list of all tools names it' },
    {
      name: 'server',
      value: 'NAME',
      summary: 'the MCP server; the tool is then named as the server names it',
    },
    { name: 'database', value: 'NAME', summary: 'the database that the call would name' },
    TOKEN_FILE_OPTION,
  ],
  examples: [
    ['postern access explain --token-id tok_… --tool query_database --database staging', 'why, or why not'],
    ['postern access explain --token-id tok_… --server files', 'whether it may use that server at all'],
  ],
  run,
}

async function run(invocation: Invocation, given: Given): Promise<ExitCode> {
  const id = given.text('token-id')
  const tool = given.text('tool')
  if (id === undefined) return invocation.misuse('--token-id is missing: postern token list shows the ids')
  const server = given.text('server')
  if (tool === undefined && (server === undefined || server === 'postern')) {
    return invocation.misuse('--tool is missing: name a tool, a server with --server, or both')
  }

  const { withTokens } = await import('./with-tokens.ts')
  return await withTokens(invocation, given, async ({ tokens, settings }) => {
    const record = (await tokens.find(id)).find((one) => one.id === id)
    const { refusal } = await import('../src/access/refusal.ts')
    if (!record)
      return invocation.refuse(
        refusal('not_found', 'token.id', 'there is no token with that id: postern token list shows them'),
      )
    const database = given.text('database')
    const question: Question = {
      ...(tool === undefined ? {} : { tool }),
      ...(server === undefined ? {} : { server }),
      ...(database === undefined ? {} : { database }),
    }
    const { openExplainer } = await import('./explainer.ts')
    const explainer = await openExplainer(settings, invocation.clock)
    const { callerOfToken } = await import('../src/identity/caller-of-token.ts')
    const caller = callerOfToken(record)
    if (record.status !== 'valid') {
      const message = `this token is ${record.status}: it may do nothing`
      const rule = `credential.${record.status}`
      return show(invocation, record, question, {
        allowed: false,
        rule,
        refusal: refusal('unauthorized', rule, message),
      })
    }
    return show(invocation, record, question, explainer.explain(caller, question))
  })
}

function show(
  invocation: Invocation,
  record: TokenRecord,
  question: Question,
  { allowed, rule, refusal }: Explanation,
): ExitCode {
  const { style } = invocation
  const { tool, server, database } = question
  const message = refusal?.message ?? 'this credential may do that'
  const aim = [
    ...(tool === undefined ? [] : [tool]),
    ...(server === undefined ? [] : [tool === undefined ? server : `of ${server}`]),
    ...(database === undefined ? [] : [`on ${database}`]),
  ]
  const note = record.note === '' ? '' : ` (${printable(record.note)})`
  invocation.answer(
    {
      credential_id: record.id,
      ...question,
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
      `  ${style.dim(tool === undefined ? 'Server:  ' : 'Tool:    ')} ${printable(aim.join(' '))}`,
      `  ${style.dim('Rule:')}     ${rule}`,
      ...(refusal?.allowed === undefined ? [] : [`  ${style.dim('Allowed:')}  ${refusal.allowed}`]),
    ].join('\n'),
  )
  return allowed ? 0 : 1
}
