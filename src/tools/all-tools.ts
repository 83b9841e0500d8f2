import { OWN_SERVER } from '../access/decide.ts'
import { type Refusal, refusal } from '../access/refusal.ts'
import type { Caller } from '../identity/caller.ts'
import type { Level } from '../identity/grant.ts'
import type { Clock } from '../lib/clock.ts'
import { isObject, type Params } from '../lib/json-rpc.ts'
import { LATEST_SESSION_REVISION } from '../lib/revisions.ts'
import { unreachable } from '../lib/unreachable.ts'
import type { TraceContext } from '../observe/trace-context.ts'
import type { ClientFacts, Inbox } from '../upstreams/conversation.ts'
import type { AggregateConversation } from './backend/aggregate/aggregate-conversation.ts'
import { type LeftOut, UNAVAILABLE_KEY } from './backend/aggregate/lists.ts'
import { allPages } from './backend/all-pages.ts'
import type { GuardedAnswer } from './backend/backend.ts'
import type { OpenBackends } from './backend/create.ts'
import { explainServer, type Explanation } from './backend/explain.ts'
import { unknownServer } from './backend/unknown-server.ts'
import type { Pipeline, ToolCall } from './call.ts'
import { KeptConversations } from './kept-conversations.ts'
import type { Tool, ToolResult } from './tool.ts'

/** The result of a server's tool, as the server gave it: any content, and whether the tool says that it failed. */
export interface ServerToolResult {
  readonly outcome: 'answered'
  readonly content: readonly unknown[]
  readonly structured?: unknown
  readonly isError: boolean
}

/** A tool as a list of all tools shows it, whoever has it. */
export interface ListedTool {
  readonly name: string
  /** `postern`, or the server that has it. */
  readonly server: string
  readonly title: string
  readonly description: string
  readonly level: Level
  readonly scopes: readonly string[]
  readonly inputSchema: Params
  readonly outputSchema?: Params
  readonly annotations: Params
}

export interface ListedTools {
  readonly tools: readonly ListedTool[]
  /** Servers that could not be asked, and tools that have no name here. */
  readonly unavailable: readonly LeftOut[]
}

export interface ListAsked {
  readonly caller: Caller
  readonly requestId: string
  readonly signal: AbortSignal
  readonly trace?: TraceContext
}

/** What to explain: a tool, a server, or a tool of a server by its name there. */
export interface Question {
  readonly tool?: string
  readonly server?: string
  readonly database?: string
}

/** Every tool there is, for wires without MCP framing: Postern's own, and those of the servers under prefixed names. */
export interface AllTools {
  /** What the caller may call. Own tools first, then servers in the order of the configuration. */
  list(asked: ListAsked): Promise<ListedTools>
  /** The server that a name means, if the caller may use it; undefined for Postern's own tools. */
  serverOf(caller: Caller, tool: string): string | undefined
  /** Throws a `Fault` when the tool's server does not answer. Nobody can be asked anything while it runs. */
  call(call: ToolCall): Promise<ToolResult | ServerToolResult>
  explain(caller: Caller, question: Question): Explanation
  close(): void
}

export interface AllToolsParts {
  readonly own: Pipeline
  readonly backends: OpenBackends
  readonly serverInfo: { readonly name: string; readonly version: string }
  readonly clock: Clock
}

/** Characters of a server's own sentence about a call that it refused. */
const LONGEST_MESSAGE = 2_000

const INVALID_PARAMS = -32_602

/** The list of all servers is as long as they make it: what each of them may have was bounded before. */
const EVERY_PAGE = {
  pages: Number.POSITIVE_INFINITY,
  items: Number.POSITIVE_INFINITY,
  characters: Number.POSITIVE_INFINITY,
}

/** Without a stream there is nobody to tell or to ask. */
const NOBODY: Inbox = {
  notification: () => undefined,
  ask: async () => ({
    kind: 'error',
    error: { code: -32_601, message: 'this client can be asked nothing' },
  }),
  ended: () => undefined,
}

export function createAllTools({ own, backends, serverInfo, clock }: AllToolsParts): AllTools {
  const client: ClientFacts = {
    clientInfo: { ...serverInfo },
    capabilities: {},
    revision: LATEST_SESSION_REVISION,
  }
  const kept = new KeptConversations<AggregateConversation>(clock, () => backends.aggregate().idleMs)
  const converse = <R>(caller: Caller, run: (all: AggregateConversation) => Promise<R>): Promise<R> =>
    kept.use(caller.credential.id, () => backends.aggregate().begin(client, NOBODY), run)

  const isOwn = (caller: Caller, tool: string): boolean =>
    own.explain(caller, tool).refusal?.code !== 'unknown_tool' || backends.names.split(tool) === undefined

  function listed(tool: Params): ListedTool | undefined {
    const { name, title, description, inputSchema, outputSchema, annotations } = tool
    const meant = typeof name === 'string' ? backends.names.split(name) : undefined
    const rule = meant && backends.find(meant.server)?.ruleOf(meant.name)
    if (typeof name !== 'string' || !meant || !rule) return undefined
    const hints = isObject(annotations) ? annotations : {}
    return {
      name,
      server: meant.server,
      title: [title, hints['title']].find((word): word is string => typeof word === 'string') ?? meant.name,
      description: typeof description === 'string' ? description : '',
      level: rule.level,
      scopes: rule.scopes,
      inputSchema: isObject(inputSchema) ? inputSchema : { type: 'object' },
      ...(isObject(outputSchema) ? { outputSchema } : {}),
      annotations: hints,
    }
  }

  return {
    async list(asked) {
      const mine = own.list(asked.caller).map(ownTool)
      if (!backends.any) return { tools: mine, unavailable: [] }
      let unavailable: readonly LeftOut[] = []
      const tools = await converse(asked.caller, (all) =>
        allPages(
          async (params) => {
            const answer = await all.request({ ...asked, wire: 'rest', method: 'tools/list', params })
            if (answer.kind === 'refused') throw new Error(`a list was refused: ${answer.refusal.rule}`)
            if (answer.kind === 'result') unavailable = leftOutOf(answer.result)
            return answer
          },
          'tools',
          EVERY_PAGE,
        ),
      )
      if (!tools.ok) throw new Error(`a list was answered with ${tools.error.code}`)
      const known = new Set(mine.map(({ name }) => name))
      const theirs = tools.value.flatMap((tool) => listed(tool) ?? []).filter(({ name }) => !known.has(name))
      return { tools: [...mine, ...theirs], unavailable }
    },

    serverOf: (caller, tool) => backends.aggregate().serverOf(caller, 'tools/call', { name: tool }),

    async call(call) {
      if (isOwn(call.caller, call.tool)) return await own.call(call)
      const { caller, tool, args, requestId, signal, trace } = call
      const refused = await refusedAhead(call)
      if (refused) return { outcome: 'refused', refusal: refused }
      const answer = await converse(caller, (all) =>
        all.request({
          caller,
          requestId,
          wire: 'rest',
          method: 'tools/call',
          params: { name: tool, arguments: args },
          signal,
          ...(trace === undefined ? {} : { trace }),
        }),
      )
      return resultOf(answer)
    },

    explain(caller, { tool, server, database }) {
      if (server === OWN_SERVER || server === undefined) {
        if (tool === undefined) return nothingToExplain(server)
        const meant = server === undefined && !isOwn(caller, tool) ? backends.names.split(tool) : undefined
        if (!meant) return own.explain(caller, tool, database)
        return explainAt(caller, meant.server, meant.name)
      }
      return explainAt(caller, server, tool)
    },

    close() {
      kept.close()
    },
  }

  /** What the rules alone refuse begins no conversation with any server. */
  async function refusedAhead({ caller, tool, args, requestId }: ToolCall): Promise<Refusal | undefined> {
    const meant = backends.names.split(tool)
    const backend = meant && backends.find(meant.server)
    if (!meant || !backend) return undefined
    const params = { name: meant.name, arguments: args }
    const request = { caller, requestId, wire: 'rest', method: 'tools/call', params } as const
    if (!backend.refuses(request)) return undefined
    const admitted = await backend.admit(request)
    if (!admitted.ok) return admitted.error
    // The configuration changed between: the call is decided once more, where it is made.
    admitted.value.settle('failed', { rule: 'server' })
    return undefined
  }

  function explainAt(caller: Caller, server: string, tool: string | undefined): Explanation {
    const backend = backends.find(server)
    const rules = backend?.rules()
    if (!backend || !rules) {
      const usable = backends.usable(caller).map((one) => one.server)
      const missing = unknownServer(server, usable)
      return { allowed: false, rule: missing.rule, refusal: missing }
    }
    const hint = tool === undefined ? undefined : backend.catalogue.hint(tool)
    return explainServer(caller, rules, tool, hint, clock.now())
  }
}

const ownTool = (tool: Tool): ListedTool => ({
  name: tool.rule.name,
  server: OWN_SERVER,
  title: tool.title,
  description: tool.description,
  level: tool.rule.level,
  scopes: tool.rule.scopes,
  inputSchema: tool.inputSchema,
  ...(tool.outputSchema === undefined ? {} : { outputSchema: tool.outputSchema }),
  annotations: { ...tool.annotations },
})

function nothingToExplain(server: string | undefined): Explanation {
  const why =
    server === OWN_SERVER
      ? refusal('invalid_request', 'explain', 'name a tool: Postern itself is open to every valid credential')
      : refusal('invalid_request', 'explain', 'name a tool, a server or both')
  return { allowed: false, rule: why.rule, refusal: why }
}

function leftOutOf({ _meta }: Params): readonly LeftOut[] {
  const leftOut = isObject(_meta) ? _meta[UNAVAILABLE_KEY] : undefined
  return Array.isArray(leftOut) ? (leftOut as readonly LeftOut[]) : []
}

function resultOf(answer: GuardedAnswer): ToolResult | ServerToolResult {
  switch (answer.kind) {
    case 'refused':
      return { outcome: 'refused', refusal: answer.refusal }
    case 'error':
      return { outcome: 'refused', refusal: refusedByServer(answer.error.code, answer.error.message) }
    case 'result': {
      const { content, structuredContent, isError } = answer.result
      return {
        outcome: 'answered',
        content: Array.isArray(content) ? content : [],
        ...(structuredContent === undefined ? {} : { structured: structuredContent }),
        isError: isError === true,
      }
    }
    default:
      return unreachable(answer)
  }
}

/** The server answered, but not with a result: its own words are for the caller, whose call it was. */
function refusedByServer(code: number, message: string): Refusal {
  const words = message === '' ? `the server answered with error ${code}` : message.slice(0, LONGEST_MESSAGE)
  return code === INVALID_PARAMS
    ? refusal('invalid_arguments', 'upstream', words)
    : refusal('tool_failed', 'upstream', words)
}
