import { Server } from '@modelcontextprotocol/sdk/server/index.js'
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  SetLevelRequestSchema,
  SubscribeRequestSchema,
  type CallToolResult,
  type ToolAnnotations,
} from '@modelcontextprotocol/sdk/types.js'

export interface SdkTool {
  readonly name: string
  readonly title?: string
  readonly annotations?: ToolAnnotations
  readonly run?: (
    args: Readonly<Record<string, unknown>>,
    server: Server,
  ) => CallToolResult | Promise<CallToolResult>
}

export interface SdkServerSpec {
  readonly name: string
  readonly instructions?: string
  readonly tools?: readonly SdkTool[]
  readonly toolsPerPage?: number
  /** Never answers what tools it has. */
  readonly stuck?: boolean
  readonly prompts?: readonly string[]
  /** URIs and their texts. */
  readonly resources?: Readonly<Record<string, string>>
  readonly templates?: readonly string[]
  /** Hears of every request. */
  readonly heard?: (method: string, params: unknown) => void
  /** Each server that is made, to speak through it unasked. */
  readonly made?: (server: Server) => void
}

const text = (value: string): CallToolResult => ({ content: [{ type: 'text', text: value }] })

/** A server of the official SDK with tools, prompts and resources of the test's choice. */
export function sdkServer(spec: SdkServerSpec): Server {
  const { tools = [], prompts, resources, templates = [], instructions, heard } = spec
  const server = new Server(
    { name: spec.name, version: '1' },
    {
      capabilities: {
        tools: { listChanged: true },
        logging: {},
        ...(prompts ? { prompts: {}, completions: {} } : {}),
        ...(resources ? { resources: { subscribe: true } } : {}),
      },
      ...(instructions === undefined ? {} : { instructions }),
    },
  )
  const size = spec.toolsPerPage ?? 1_000
  server.setRequestHandler(ListToolsRequestSchema, async ({ params }) => {
    heard?.('tools/list', params)
    if (spec.stuck === true) await new Promise(() => undefined)
    const from = Number(params?.cursor ?? 0)
    return {
      tools: tools.slice(from, from + size).map(({ name, title, annotations }) => ({
        name,
        ...(title === undefined ? {} : { title }),
        ...(annotations === undefined ? {} : { annotations }),
        description: `${name} of ${spec.name}`,
        inputSchema: { type: 'object' as const },
      })),
      ...(from + size < tools.length ? { nextCursor: String(from + size) } : {}),
    }
  })
  server.setRequestHandler(CallToolRequestSchema, async ({ params }) => {
    heard?.('tools/call', params)
    const tool = tools.find(({ name }) => name === params.name)
    if (!tool) throw new McpError(-32602, `unknown tool ${params.name}`)
    return tool.run
      ? await tool.run(params.arguments ?? {}, server)
      : text(`${spec.name} ran ${tool.name} with ${JSON.stringify(params.arguments)}`)
  })
  server.setRequestHandler(SetLevelRequestSchema, ({ params }) => {
    heard?.('logging/setLevel', params)
    return {}
  })
  if (prompts) {
    server.setRequestHandler(ListPromptsRequestSchema, () => ({
      prompts: prompts.map((name) => ({ name, arguments: [{ name: 'who' }] })),
    }))
    server.setRequestHandler(GetPromptRequestSchema, ({ params }) => {
      heard?.('prompts/get', params)
      return {
        messages: [{ role: 'user', content: { type: 'text', text: `${params.name} of ${spec.name}` } }],
      }
    })
    server.setRequestHandler(CompleteRequestSchema, ({ params }) => {
      heard?.('completion/complete', params)
      return { completion: { values: [spec.name] } }
    })
  }
  if (resources) {
    server.setRequestHandler(ListResourcesRequestSchema, () => ({
      resources: Object.keys(resources).map((uri) => ({ uri, name: uri })),
    }))
    server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({
      resourceTemplates: templates.map((uriTemplate) => ({ uriTemplate, name: uriTemplate })),
    }))
    server.setRequestHandler(ReadResourceRequestSchema, ({ params: { uri } }) => {
      heard?.('resources/read', { uri })
      const found = resources[uri] ?? (uri.startsWith(`${spec.name}:`) ? `made up for ${uri}` : undefined)
      if (found === undefined) throw new McpError(-32002, `no resource ${uri}`)
      return { contents: [{ uri, text: found }] }
    })
    server.setRequestHandler(SubscribeRequestSchema, ({ params }) => {
      heard?.('resources/subscribe', params)
      return {}
    })
  }
  spec.made?.(server)
  return server
}
