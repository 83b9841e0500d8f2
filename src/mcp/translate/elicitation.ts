import { isObject, type Params, type RpcFailure } from '../../lib/json-rpc.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { Revision } from '../../lib/revisions.ts'
import { RPC_CODE } from '../rpc-error.ts'
import { has } from './features.ts'
import { without } from './without.ts'

/** `elicitation/create` for a client that declared `capability`; an empty one means forms (2025-11-25 elicitation). */
export function elicitationFor(
  params: Params,
  capability: Params,
  revision: Revision,
): Result<Params, RpcFailure> {
  if (params.mode === 'url') {
    return has(revision, 'elicitation_url') && isObject(capability.url)
      ? ok(has(revision, 'elicitation_complete') ? params : without(params, 'elicitationId'))
      : refused('the client did not declare elicitation.url')
  }
  if (isObject(capability.url) && !isObject(capability.form)) {
    return refused('the client did not declare elicitation.form')
  }
  if (has(revision, 'elicitation_choices') || !isObject(params.requestedSchema)) return ok(params)
  const { properties } = params.requestedSchema
  if (!isObject(properties)) return ok(without(params, 'mode'))
  const known: Record<string, unknown> = {}
  for (const [name, property] of Object.entries(properties)) {
    if (isObject(property) && property.type === 'array') {
      return refused('the client cannot choose several values: its protocol revision has no form for it')
    }
    known[name] = isObject(property) ? propertyFor(property) : property
  }
  return ok({ ...without(params, 'mode'), requestedSchema: { ...params.requestedSchema, properties: known } })
}

const refused = (message: string): Result<Params, RpcFailure> =>
  err({ code: RPC_CODE.invalidParams, message })

/** 2025-06-18: choices are `enum` with `enumNames`, and only a boolean has a default. */
function propertyFor(property: Params): Params {
  const plain = property.type === 'boolean' ? property : without(property, 'default')
  if (!Array.isArray(plain.oneOf)) return plain
  const choices = plain.oneOf.filter(isObject)
  return {
    ...without(plain, 'oneOf'),
    enum: choices.map((choice) => choice.const),
    enumNames: choices.map((choice) => choice.title ?? choice.const),
  }
}
