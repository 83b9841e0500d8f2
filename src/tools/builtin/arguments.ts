import * as z from 'zod'
import { nearestWord } from '../../lib/spelling.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { JsonSchema } from '../tool.ts'

/** The database to ask; every tool has it. */
export const databaseArgument = z
  .string()
  .min(1)
  .max(200)
  .optional()
  .describe('Database to ask; default: the first one you may use')

/** SQL identifiers have at most 63 bytes; a little more lets a wrong one be named in the answer. */
export const identifierArgument = z.string().min(1).max(200)

/** The gate refuses longer statements; so much is read at all. */
export const MOST_SQL_CHARS = 100_000

const SHOWN_NAME_CHARS = 60

/**
 * Reads arguments as they came from the wire. The error is one sentence that names the argument, and the
 * one that was meant when a name is not known.
 */
export function parseArguments<T>(schema: z.ZodObject & z.ZodType<T>, args: unknown): Result<T, string> {
  const given = args ?? {}
  if (typeof given !== 'object' || Array.isArray(given)) return err('the arguments must be a JSON object')
  const parsed = schema.safeParse(given)
  if (parsed.success) return ok(parsed.data)
  const known = Object.keys(schema.shape)
  // A misspelt name first: it is usually why another is missing.
  const unknown = parsed.error.issues.find((each) => each.code === 'unrecognized_keys')
  if (unknown) return err(unknownArgument(unknown.keys[0] ?? '', known))
  const [issue] = parsed.error.issues
  if (issue === undefined) return err('the arguments are not valid')
  const path = issue.path.map(String).join('.')
  if (path === '') return err(issue.message)
  const missing = issue.code === 'invalid_type' && !(path in given) && issue.path.length === 1
  return err(missing ? `argument "${path}" is missing` : `argument "${path}": ${issue.message}`)
}

function unknownArgument(name: string, known: readonly string[]): string {
  const shown = name.length > SHOWN_NAME_CHARS ? `${name.slice(0, SHOWN_NAME_CHARS)}…` : name
  const meant = nearestWord(name, known)
  return meant === undefined
    ? `unknown argument "${shown}": the arguments are ${known.join(', ')}`
    : `unknown argument "${shown}": did you mean "${meant}"?`
}

/** JSON Schema (2020-12, the default of MCP, so that naming the dialect would only cost words). */
export function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io })
  return rest
}
