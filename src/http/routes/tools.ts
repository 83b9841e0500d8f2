import { z } from 'zod'
import { isObject } from '../../lib/json-rpc.ts'
import { err, ok } from '../../lib/result.ts'
import type { ListedTool, ServerToolResult } from '../../tools/all-tools.ts'
import type { ControlPlaneParts } from '../control-plane.ts'
import { defineRoute, type Route } from '../define-route.ts'

const SCHEMA = z.record(z.string(), z.unknown())

const TOOLS = z.object({
  tools: z.array(
    z.object({
      name: z.string(),
      title: z.string(),
      description: z.string(),
      level: z.string(),
      scopes: z.array(z.string()),
      input_schema: SCHEMA,
      output_schema: SCHEMA.optional(),
      annotations: SCHEMA,
      server: z.string(),
    }),
  ),
  unavailable: z
    .array(
      z.object({ server: z.string(), name: z.string().optional(), code: z.string(), message: z.string() }),
    )
    .optional(),
})

const RESULT = z.record(z.string(), z.unknown())

/** Tools without MCP framing: the body is the arguments, the reply is the structured result. */
export function toolRoutes({ tools }: ControlPlaneParts): readonly Route[] {
  return [
    defineRoute(
      {
        method: 'GET',
        path: '/mcp/tools',
        name: 'tools.list',
        summary: 'Lists the tools that this credential may call',
        access: 'anyone',
        status: 200,
        description:
          'The tools; those of MCP servers under prefixed names. `unavailable` names what could not be listed.',
        reply: TOOLS,
        refusals: [],
      },
      async ({ caller, context }) => {
        const { requestId, signal, trace } = context
        const listed = await tools.list({ caller, requestId, signal, ...(trace ? { trace } : {}) })
        return ok({
          status: 200,
          body: {
            tools: listed.tools.map(toolJson),
            ...(listed.unavailable.length === 0 ? {} : { unavailable: listed.unavailable }),
          },
        })
      },
    ),
    defineRoute(
      {
        method: 'POST',
        path: '/mcp/tools/{tool}',
        name: 'tools.call',
        summary: 'Calls a tool with the body as its arguments',
        access: 'anyone',
        params: z.strictObject({ tool: z.string().min(1).max(256) }),
        body: z.record(z.string(), z.unknown()),
        lenientType: true,
        status: 200,
        description:
          'The structured result, or `content` where a tool has only that; `is_error` when it says that it failed.',
        reply: RESULT,
        refusals: [
          'unknown_tool',
          'invalid_arguments',
          'server_not_allowed',
          'tool_not_allowed',
          'tool_failed',
          'upstream_credential_missing',
          'level_too_low',
          'scope_missing',
          'database_not_allowed',
          'write_needs_confirmation',
          'sql_refused',
          'sql_syntax',
          'sql_failed',
          'sql_timeout',
        ],
      },
      async ({ caller, params, body, context }) => {
        const server = tools.serverOf(caller, params.tool)
        if (server !== undefined) context.note({ server })
        const result = await tools.call({
          caller,
          tool: params.tool,
          args: body,
          requestId: context.requestId,
          wire: 'rest',
          signal: context.signal,
          trace: context.trace,
        })
        if (result.outcome === 'refused') return err(result.refusal)
        const reply =
          result.outcome === 'done'
            ? (result.structured ?? { content: result.content })
            : serverResultJson(result)
        return ok({ status: 200, body: reply })
      },
    ),
  ]
}

function toolJson(tool: ListedTool): z.input<typeof TOOLS>['tools'][number] {
  return {
    name: tool.name,
    title: tool.title,
    description: tool.description,
    level: tool.level,
    scopes: [...tool.scopes],
    input_schema: { ...tool.inputSchema },
    ...(tool.outputSchema === undefined ? {} : { output_schema: { ...tool.outputSchema } }),
    annotations: { ...tool.annotations },
    server: tool.server,
  }
}

/** A structure stands alone where the content is but its text; images, links and failures are told beside it. */
function serverResultJson({ content, structured, isError }: ServerToolResult): Record<string, unknown> {
  const onlyText = content.every((block) => isObject(block) && block['type'] === 'text')
  if (isObject(structured) && onlyText && !isError) return { ...structured }
  return {
    content,
    ...(structured === undefined ? {} : { structured_content: structured }),
    ...(isError ? { is_error: true } : {}),
  }
}
