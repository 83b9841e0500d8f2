import { keys } from './keys.ts'
import type { Fields, JsonSchema, Shape, Spec } from './spec.ts'

/** What stands in place of a value and is replaced by an environment variable. */
const REFERENCE: JsonSchema = {
  description: 'An environment variable: $env:NAME, $env:NAME|default, or {"$env": "NAME"}.',
  anyOf: [
    { type: 'string', pattern: '\\$env:[A-Za-z_][A-Za-z0-9_]*' },
    {
      type: 'object',
      properties: { $env: { type: 'string' }, default: { type: 'string' } },
      required: ['$env'],
      additionalProperties: false,
    },
  ],
}

/** The configuration as a JSON Schema (draft 2020-12), for editors. Published as `postern.schema.json`. */
export function jsonSchema(): JsonSchema {
  const root = schemaOf(keys)
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Postern configuration',
    ...root,
    properties: { $schema: { type: 'string' }, ...(root['properties'] as JsonSchema) },
    $defs: { reference: REFERENCE },
  }
}

function schemaOf({ about, shape }: Spec<unknown>): JsonSchema {
  if (shape.kind === 'leaf') return { description: about, ...leafSchema(shape) }
  if (shape.kind === 'list')
    return { description: about, type: ['array', 'null'], items: schemaOf(shape.item) }
  if (shape.kind === 'named')
    return {
      description: about,
      type: ['object', 'null'],
      propertyNames: { pattern: shape.naming.pattern.source },
      additionalProperties: schemaOf(shape.item),
    }
  const section = {
    type: ['object', 'null'],
    properties: Object.fromEntries(
      Object.entries(shape.fields).map(([name, field]) => [name, schemaOf(field)]),
    ),
    required: requiredOf(shape.fields),
    additionalProperties: false,
  }
  if (shape.shorthand === undefined) return { description: about, ...section }
  return { description: about, anyOf: [{ type: 'string' }, { $ref: '#/$defs/reference' }, section] }
}

function leafSchema({ type, standard, example }: Extract<Shape, { kind: 'leaf' }>): JsonSchema {
  const words: JsonSchema = type.list === true ? { type: 'string' } : {}
  return {
    ...(standard === undefined ? {} : { default: standard }),
    ...(example === undefined ? {} : { examples: [example] }),
    anyOf: [type.schema, { $ref: '#/$defs/reference' }, ...(type.list === true ? [words] : [])],
  }
}

const requiredOf = (fields: Fields): readonly string[] =>
  Object.entries(fields)
    .filter(([, { shape }]) => shape.kind === 'leaf' && shape.presence === 'required')
    .map(([name]) => name)
