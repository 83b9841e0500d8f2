import { err, ok } from '../../lib/result.ts'
import { createPipeline } from '../../tools/pipeline.ts'
import { runSqlTool, SQL_ARGUMENTS, SQL_RESULT } from '../../tools/run-sql.ts'
import type { ControlPlaneParts } from '../control-plane.ts'
import { defineRoute, type Route } from '../define-route.ts'

/**
 * SQL for scripts. It takes the same pipeline as every tool, one of its own, because a tool that only
 * REST has must not appear in the lists of MCP clients.
 */
export function queryRoutes(parts: ControlPlaneParts): readonly Route[] {
  const { databases, limits, audit, clock, observe } = parts
  const tool = runSqlTool(databases, limits)
  const pipeline = createPipeline({ tools: [tool], audit, clock, observe })
  return [
    defineRoute(
      {
        method: 'POST',
        path: '/api/v1/query',
        name: 'sql',
        summary: 'Runs one SQL statement',
        access: 'anyone',
        body: SQL_ARGUMENTS,
        status: 200,
        description: 'Columns and rows; `truncated` when a cap cut the rows off.',
        reply: SQL_RESULT,
        refusals: [
          'database_not_allowed',
          'write_needs_confirmation',
          'sql_refused',
          'sql_syntax',
          'sql_failed',
          'sql_timeout',
        ],
      },
      async ({ caller, body, context }) => {
        const result = await pipeline.call({
          caller,
          tool: tool.rule.name,
          args: body,
          requestId: context.requestId,
          wire: 'rest',
          signal: context.signal,
          trace: context.trace,
        })
        return result.outcome === 'refused'
          ? err(result.refusal)
          : ok({ status: 200, body: result.structured })
      },
    ),
  ]
}
