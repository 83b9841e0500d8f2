import { z } from 'zod'
import { levelIncludes, OWN_SERVER } from '../../access/decide.ts'
import { refusal } from '../../access/refusal.ts'
import { callerOfToken } from '../../identity/caller-of-token.ts'
import { err, ok } from '../../lib/result.ts'
import type { Caller } from '../../identity/caller.ts'
import type { Question } from '../../tools/all-tools.ts'
import type { Explanation } from '../../tools/backend/explain.ts'
import { createPipeline } from '../../tools/pipeline.ts'
import { runSqlTool } from '../../tools/run-sql.ts'
import type { ControlPlaneParts } from '../control-plane.ts'
import { defineRoute, type Route } from '../define-route.ts'
import { administersTenant } from '../within-grant.ts'

const EXPLANATION = z.object({
  credential_id: z.string(),
  tool: z.string().optional(),
  server: z.string().optional(),
  database: z.string().optional(),
  allowed: z.boolean(),
  rule: z.string(),
  message: z.string(),
  code: z.string().optional(),
  instead: z.string().optional(),
  scopes: z.array(z.string()).optional(),
})

/** Why a credential may or may not call a tool or use a server, without doing it. */
export function accessRoutes(parts: ControlPlaneParts): readonly Route[] {
  const { tools, tokens, audit, clock, observe } = parts
  const sqlTool = runSqlTool(parts.databases)
  const sql = createPipeline({ tools: [sqlTool], databases: parts.databases, audit, clock, observe })
  /** `POST /api/v1/query` has a pipeline of its own, and the same questions are asked about it. */
  const explain = (caller: Caller, question: Question): Explanation =>
    question.server === undefined && question.tool === sqlTool.rule.name
      ? sql.explain(caller, question.tool, question.database)
      : tools.explain(caller, question)
  return [
    defineRoute(
      {
        method: 'GET',
        path: '/api/v1/access/explain',
        name: 'access.explain',
        summary: 'Tells why a credential may or may not call a tool or use a server, without doing it',
        access: 'anyone',
        query: z.strictObject({
          tool: z
            .string()
            .min(1)
            .max(256)
            .optional()
            .describe('The tool, by the name that GET /mcp/tools lists; `sql` is POST /api/v1/query'),
          server: z
            .string()
            .min(1)
            .max(128)
            .optional()
            .describe('The MCP server; `tool` is then the name that the server has for it'),
          database: z.string().min(1).max(128).optional().describe('A database, by name'),
          credential_id: z
            .string()
            .min(1)
            .max(128)
            .optional()
            .describe("Another credential, for administrators; the caller's own when absent"),
        }),
        status: 200,
        description: 'The decision and the rule it comes from.',
        reply: EXPLANATION,
        refusals: ['level_too_low', 'not_found', 'invalid_request'],
      },
      async ({ caller, query }) => {
        const { tool, server, database, credential_id: id } = query
        const question: Question = {
          ...(tool === undefined ? {} : { tool }),
          ...(server === undefined ? {} : { server }),
          ...(database === undefined ? {} : { database }),
        }
        if (tool === undefined && (server === undefined || server === OWN_SERVER)) {
          return err(refusal('invalid_request', 'explain', 'name a "tool", a "server" or both'))
        }
        let subject = caller
        if (id !== undefined && id !== caller.credential.id) {
          if (!levelIncludes(caller.grant.level, 'admin')) {
            const message = `level admin is needed to explain another credential, this credential has ${caller.grant.level}`
            return err(refusal('level_too_low', 'level', message, { allowed: 'its own credential' }))
          }
          const record = (await tokens.find(id)).find((one) => one.id === id)
          if (!record || !administersTenant(caller, record.tenant)) {
            return err(refusal('not_found', 'token.id', 'there is no credential with this id'))
          }
          if (record.status !== 'valid') {
            return ok({
              status: 200,
              body: {
                credential_id: record.id,
                ...question,
                allowed: false,
                rule: `credential.${record.status}`,
                message: `this credential is ${record.status}: it may do nothing`,
                code: 'unauthorized',
              },
            })
          }
          subject = callerOfToken(record)
        }
        const { allowed, rule, refusal: refused } = explain(subject, question)
        return ok({
          status: 200,
          body: {
            credential_id: subject.credential.id,
            ...question,
            allowed,
            rule,
            message: refused?.message ?? 'this credential may do that',
            ...(refused === undefined ? {} : { code: refused.code }),
            ...(refused?.allowed === undefined ? {} : { instead: refused.allowed }),
            ...(refused?.scopes === undefined ? {} : { scopes: refused.scopes }),
          },
        })
      },
    ),
  ]
}
