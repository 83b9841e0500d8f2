/** An MCP server with one fixed answer: what stands behind the gateways that `bench/forward.ts` measures. */

/** Text that every answer to the measured call holds. */
export const ANSWER_MARK = 'forty-two lines of a plain answer'

const CALL_RESULT = {
  content: [
    {
      type: 'text',
      text: `${ANSWER_MARK}: the warehouse holds 1,204 units of part 4711, of which 96 are reserved; next delivery on Tuesday.`,
    },
  ],
}

const TOOLS = [
  {
    name: 'lookup',
    description: 'Looks a part up.',
    inputSchema: { type: 'object', properties: { part: { type: 'integer' } }, required: ['part'] },
    annotations: { readOnlyHint: true, destructiveHint: false },
  },
]

export const STATELESS = '2026-07-28'
export const SESSION = '2025-11-25'

interface Asked {
  readonly id?: unknown
  readonly method?: unknown
  readonly params?: { readonly protocolVersion?: unknown }
}

const INFO = { name: 'static', version: '1.0.0' }

/** The response to one message; `undefined` for a notification. */
export function answerTo(message: Asked, stateless: boolean): unknown {
  if (message.id === undefined) return undefined
  const result = resultOf(message, stateless)
  return result === undefined
    ? { jsonrpc: '2.0', id: message.id, error: { code: -32601, message: 'no such method' } }
    : { jsonrpc: '2.0', id: message.id, result }
}

function resultOf({ method, params }: Asked, stateless: boolean): unknown {
  const complete = stateless ? { resultType: 'complete' } : {}
  switch (method) {
    case 'initialize':
      return stateless
        ? undefined
        : {
            protocolVersion: params?.protocolVersion ?? SESSION,
            capabilities: { tools: { listChanged: true } },
            serverInfo: INFO,
          }
    case 'server/discover':
      return stateless
        ? {
            ...complete,
            supportedVersions: [STATELESS],
            capabilities: { tools: {} },
            _meta: { 'io.modelcontextprotocol/serverInfo': INFO },
          }
        : undefined
    case 'ping':
      return {}
    case 'tools/list':
      return { ...complete, tools: TOOLS, ...(stateless ? { ttlMs: 60_000, cacheScope: 'public' } : {}) }
    case 'tools/call':
      return { ...complete, ...CALL_RESULT }
    default:
      return undefined
  }
}
