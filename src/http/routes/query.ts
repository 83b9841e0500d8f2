import type { Refusal } from '../../access/refusal.ts'
import { READ_ONLY_MESSAGE } from '../../databases/gate/rules.ts'
import { CredentialEnded } from '../../identity/credential-ended.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { createPipeline } from '../../tools/pipeline.ts'
import { runSqlTool, SQL_ARGUMENTS, SQL_RESULT, type StreamedSql } from '../../tools/run-sql.ts'
import { acceptedFormat } from '../answers/accepted-format.ts'
import { AnswerStream } from '../answers/answer-stream.ts'
import type { AnswerFacts } from '../answers/format.ts'
import type { ControlContext } from '../control-context.ts'
import type { ControlPlaneParts } from '../control-plane.ts'
import { defineRoute, type Route, type RouteReply } from '../define-route.ts'
import { belongsInLog, faultToWire, refusalToWire, type WireError } from '../error-to-wire.ts'

/**
 * SQL for scripts. It takes the same pipeline as every tool, one of its own, because a tool that only
 * REST has must not appear in the lists of MCP clients.
 */
export function queryRoutes(parts: ControlPlaneParts): readonly Route[] {
  const { databases, audit, clock, observe } = parts
  const tool = runSqlTool(databases)
  const pipeline = createPipeline({ tools: [tool], databases, audit, clock, observe })
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
        otherReplies: {
          'application/x-ndjson': 'One object a line; the last line has the number of rows, or the error',
          'text/csv': 'A header line and one line a row; a connection that ends early is an error',
        },
        refusals: [
          'database_not_allowed',
          'write_needs_confirmation',
          'sql_refused',
          'sql_syntax',
          'sql_failed',
          'sql_timeout',
          'result_too_large',
          'session_unknown',
          'too_many_sessions',
        ],
      },
      async ({ caller, body, headers, context }) => {
        const answer = new AnswerStream(acceptedFormat(headers.get('accept')), (contentType) =>
          context.begin(200, { 'content-type': contentType, vary: 'accept' }),
        )
        const args: StreamedSql = { ...body, into: answer, bounds: answer.bounds }
        try {
          const result = await pipeline.call({
            caller,
            tool: tool.rule.name,
            args,
            requestId: context.requestId,
            wire: 'rest',
            signal: context.signal,
            trace: context.trace,
          })
          return result.outcome === 'refused'
            ? refused(answer, plain(result.refusal), context)
            : finished(answer, result.structured as AnswerFacts, context)
        } catch (thrown) {
          if (!answer.begun) throw thrown
          if (belongsInLog(thrown)) {
            observe({ kind: 'fault', where: 'http.query', error: thrown, requestId: context.requestId })
          }
          return cut(answer, faultToWire(thrown, wireContext(context)), context)
        }
      },
    ),
  ]
}

function finished(
  answer: AnswerStream,
  facts: AnswerFacts,
  context: ControlContext,
): Result<RouteReply, Refusal> {
  const end = answer.finish(facts)
  if (end === 'sent') return ok({ status: 200, body: undefined })
  if ('refused' in end) return refused(answer, end.refused, context)
  return ok({ status: 200, body: end.whole, contentType: end.contentType, headers: { vary: 'accept' } })
}

function refused(
  answer: AnswerStream,
  reason: Refusal,
  context: ControlContext,
): Result<RouteReply, Refusal> {
  return answer.begun ? cut(answer, refusalToWire(reason, wireContext(context)), context) : err(reason)
}

/** The reply has begun with status 200: what went wrong is said in it, or the connection ends. */
function cut(
  answer: AnswerStream,
  { body }: WireError,
  context: ControlContext,
): Result<RouteReply, Refusal> {
  context.note({ code: body.code })
  answer.fail(body, context.signal.reason instanceof CredentialEnded)
  return ok({ status: 200, body: undefined })
}

/** Statements that are no reads get one sentence, word for word: clients compare it. `node` and `rule` say more. */
function plain(reason: Refusal): Refusal {
  return reason.code === 'sql_refused' && reason.message.endsWith(READ_ONLY_MESSAGE)
    ? { ...reason, message: READ_ONLY_MESSAGE }
    : reason
}

const wireContext = ({ requestId }: ControlContext) => ({ requestId, resourceMetadata: '' })
