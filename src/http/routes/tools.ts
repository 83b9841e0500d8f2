import { z } from 'zod'
import { err, ok } from '../../lib/result.ts'
import type { Tool } from '../../tools/tool.ts'
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
    }),
  ),
})

const RESULT = z.record(z.string(), z.unknown())

/** Tools without MCP framing: the body is the arguments, the reply is the structured result. */
export function toolRoutes({ pipeline }: ControlPlaneParts): readonly Route[] {
  return [
    defineRoute(
      {
        method: 'GET',
        path: '/mcp/tools',
        name: 'tools.list',
        summary: 'Lists the tools that this credential may call',
        access: 'anyone',
        status: 200,
        description: 'The tools, by name.',
        reply: TOOLS,
        refusals: [],
      },
      ({ caller }) => ok({ status: 200, body: { tools: pipeline.list(caller).map(toolJson) } }),
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
        description: 'The structured result, or `content` where a tool has only text.',
        reply: RESULT,
        refusals: [
          'unknown_tool',
          'invalid_arguments',
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
        const result = await pipeline.call({
          caller,
          tool: params.tool,
          args: body,
          requestId: context.requestId,
          wire: 'rest',
          signal: context.signal,
          trace: context.trace,
        })
        if (result.outcome === 'refused') return err(result.refusal)
        return ok({ status: 200, body: result.structured ?? { content: result.content } })
      },
    ),
  ]
}

function toolJson(tool: Tool): z.input<typeof TOOLS>['tools'][number] {
  return {
    name: tool.rule.name,
    title: tool.title,
    description: tool.description,
    level: tool.rule.level,
    scopes: [...tool.rule.scopes],
    input_schema: { ...tool.inputSchema },
    ...(tool.outputSchema === undefined ? {} : { output_schema: { ...tool.outputSchema } }),
    annotations: { ...tool.annotations },
  }
}
