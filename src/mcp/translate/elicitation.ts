import { randomUUID } from 'node:crypto'
import { isObject, type Params, type RpcFailure } from '../../lib/json-rpc.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { Revision } from '../../lib/revisions.ts'
import { RPC_CODE } from '../rpc-error.ts'
import { has } from './features.ts'
import { isPageAddress } from './page-address.ts'
import { without } from './without.ts'

/** A request for a client, and what its answer means to the server that asked. */
export interface Carried {
  readonly params: Params
  /** Absent where the answer passes as it is. */
  readonly back?: (result: Params) => Params
}

/** `elicitation/create` for a client that declared `capability`; an empty one means forms (2025-11-25 elicitation). */
export function elicitationFor(
  params: Params,
  capability: Params,
  revision: Revision,
): Result<Carried, RpcFailure> {
  if (params.mode === 'url') {
    if (!has(revision, 'elicitation_url') || !isObject(capability.url))
      return refused('the client did not declare elicitation.url')
    return isPageAddress(params.url)
      ? ok({ params: pageFor(params, revision) })
      : refused('url must be an http or https address')
  }
  if (isObject(capability.url) && !isObject(capability.form)) {
    return refused('the client did not declare elicitation.form')
  }
  return has(revision, 'elicitation_choices') ? ok({ params }) : formFor(params)
}

/** The id names the page in `notifications/elicitation/complete`, which only one revision has, and there needs it. */
function pageFor(params: Params, revision: Revision): Params {
  if (!has(revision, 'elicitation_complete')) return without(params, 'elicitationId')
  return typeof params.elicitationId === 'string' ? params : { ...params, elicitationId: randomUUID() }
}

/**
 * The form of 2025-06-18: choices are `enum` with `enumNames`, only a boolean has a default, and there is one value
 * to choose. A choice of several becomes a choice of one, unless more than one is needed.
 */
function formFor(params: Params): Result<Carried, RpcFailure> {
  const form = without(params, 'mode')
  const schema = isObject(form.requestedSchema) ? form.requestedSchema : {}
  if (!isObject(schema.properties)) return ok({ params: form })
  const properties: [string, unknown][] = []
  const several: string[] = []
  for (const [name, property] of Object.entries(schema.properties)) {
    if (!isObject(property)) continue
    if (property.type !== 'array') {
      properties.push([name, propertyFor(property)])
      continue
    }
    if (typeof property.minItems === 'number' && property.minItems > 1) {
      return refused('the client cannot choose several values: its protocol revision has no form for it')
    }
    several.push(name)
    const { title, description, items } = property
    const choice = propertyFor({
      ...(isObject(items) ? items : {}),
      type: 'string',
      ...(title === undefined ? {} : { title }),
      ...(description === undefined ? {} : { description }),
    })
    properties.push([name, choice])
  }
  const carried = { ...form, requestedSchema: { ...schema, properties: Object.fromEntries(properties) } }
  return ok(
    several.length === 0
      ? { params: carried }
      : { params: carried, back: (result) => inLists(result, several) },
  )
}

function propertyFor(property: Params): Params {
  const plain = property.type === 'boolean' ? property : without(property, 'default')
  const titled = [plain.oneOf, plain.anyOf].find((list) => Array.isArray(list))
  if (titled === undefined) return plain
  const choices = (titled as readonly unknown[]).filter(isObject)
  return {
    ...without(plain, 'oneOf', 'anyOf'),
    enum: choices.map((choice) => choice.const),
    enumNames: choices.map((choice) => choice.title ?? choice.const),
  }
}

function inLists(result: Params, names: readonly string[]): Params {
  if (!isObject(result.content)) return result
  const content: Record<string, unknown> = { ...result.content }
  for (const name of names) {
    if (Object.hasOwn(content, name) && !Array.isArray(content[name])) content[name] = [content[name]]
  }
  return { ...result, content }
}

const refused = (message: string): Result<Carried, RpcFailure> =>
  err({ code: RPC_CODE.invalidParams, message })
