import type { z } from 'zod'
import { type Refusal, refusal } from '../access/refusal.ts'
import { err, ok, type Result } from '../lib/result.ts'
import { nearestWord } from '../lib/spelling.ts'

/** Where a value came from, as the message names its parts. */
export type Place = 'body' | 'query' | 'path'

const PART: Readonly<Record<Place, string>> = { body: 'field', query: 'query parameter', path: 'path part' }

/** Checks a value against a schema. The message names what is wrong, never the value that was sent. */
export function validate<S extends z.ZodType>(
  schema: S,
  value: unknown,
  place: Place,
): Result<z.output<S>, Refusal> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return ok(parsed.data)
  const known = fieldsOf(schema)
  const sentences = parsed.error.issues.slice(0, 5).map((issue) => sentence(issue, place, known))
  return err(
    refusal(
      'invalid_request',
      `http.${place}`,
      sentences.join('; '),
      known.length === 0 ? {} : { allowed: `${PART[place]}s: ${known.join(', ')}` },
    ),
  )
}

function sentence(issue: z.core.$ZodIssue, place: Place, known: readonly string[]): string {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys
      .slice(0, 5)
      .map((key) => {
        const near = issue.path.length === 0 ? nearestWord(key, known) : undefined
        const hint = near === undefined ? '' : `: did you mean "${near}"?`
        return `unknown ${PART[place]} ${JSON.stringify(key.slice(0, 64))}${hint}`
      })
      .join('; ')
  }
  const name = issue.path.map((part) => String(part).slice(0, 64)).join('.')
  return name === '' ? `the ${place}: ${issue.message}` : `${PART[place]} "${name}": ${issue.message}`
}

function fieldsOf(schema: z.ZodType): readonly string[] {
  return 'shape' in schema && typeof schema.shape === 'object' && schema.shape !== null
    ? Object.keys(schema.shape)
    : []
}
