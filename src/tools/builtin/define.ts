import type * as z from 'zod'
import { OWN_SERVER } from '../../access/decide.ts'
import type { Refusal } from '../../access/refusal.ts'
import type { Level } from '../../identity/grant.ts'
import { ok, type Result } from '../../lib/result.ts'
import type { CallContext, Tool, ToolResult } from '../tool.ts'
import { jsonSchema, parseArguments } from './arguments.ts'
import type { BuiltinParts } from './parts.ts'

export interface ToolDefinition<T extends { database?: string | undefined }> {
  readonly name: string
  readonly title: string
  /** For a model to read: what it does and when to use it, in few words. */
  readonly description: string
  readonly input: z.ZodObject & z.ZodType<T>
  readonly output: z.ZodType
  /** An admin may write with it. */
  readonly adminWrites?: boolean
  /** What the call is aimed at, for the audit. */
  target?(args: T): string | undefined
  run(args: T, database: string, context: CallContext): Promise<ToolResult>
}

const READS = { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: false }
const WRITES = { readOnlyHint: false, destructiveHint: true, idempotentHint: false, openWorldHint: false }

/** Every built-in tool reads one database, at the lowest level. */
export function defineTool<T extends { database?: string | undefined }>(
  { databases }: Pick<BuiltinParts, 'databases'>,
  definition: ToolDefinition<T>,
): Tool {
  const { name, title, description } = definition
  return {
    rule: { name, server: OWN_SERVER, level: 'read-only', scopes: [], needsDatabase: true },
    title,
    description,
    inputSchema: jsonSchema(definition.input, 'input'),
    outputSchema: jsonSchema(definition.output, 'output'),
    annotations: { title, ...READS },
    ...(definition.adminWrites === true
      ? { annotationsFor: (level: Level) => ({ title, ...(level === 'admin' ? WRITES : READS) }) }
      : {}),
    parse(args) {
      const parsed = parseArguments(definition.input, args)
      if (!parsed.ok) return parsed
      const named = parsed.value.database
      const aim = definition.target?.(parsed.value)
      return ok({
        ...(named === undefined ? {} : { database: named }),
        ...(aim === undefined ? {} : { target: aim }),
        async run(context: CallContext): Promise<ToolResult> {
          const database: Result<string, Refusal> = databases.resolve(context.caller, named)
          if (!database.ok) return { outcome: 'refused', refusal: database.error }
          const result = await definition.run(parsed.value, database.value, context)
          return { ...result, target: result.target ?? database.value }
        },
      })
    },
  }
}
