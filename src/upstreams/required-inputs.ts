import { Fault } from '../lib/fault.ts'
import { isObject, type Params, type RpcFailure } from '../lib/json-rpc.ts'
import type { Ask } from './conversation.ts'
import { isDeclared } from './declared.ts'

/** One result asks for no more than this at once. */
const MOST_INPUTS = 64

/** The requests that may be answered by asking for input (2026-07-28 mrtr, "Supported Requests"). */
export const MAY_REQUIRE_INPUT: ReadonlySet<string> = new Set(['tools/call', 'prompts/get', 'resources/read'])

const ASKABLE: ReadonlySet<string> = new Set(['sampling/createMessage', 'elicitation/create', 'roots/list'])

export type Inputs =
  | { readonly kind: 'given'; readonly params: Params }
  /** The client did not give one, so the request fails with what it said. */
  | { readonly kind: 'error'; readonly error: RpcFailure }

/**
 * Puts everything that an `input_required` result asks for to the client, all at once, because each may take as
 * long as a person takes.
 *
 * @returns what the retry of the request carries beyond its params
 * @throws Fault `upstream_invalid` for what a server must not ask
 */
export async function gatherInputs(
  result: Params,
  capabilities: Params,
  ask: Ask | undefined,
  signal: AbortSignal,
): Promise<Inputs> {
  const { inputRequests, requestState } = result
  if (requestState !== undefined && typeof requestState !== 'string') throw invalid('a state that is no text')
  if (inputRequests === undefined && requestState === undefined) throw invalid('nothing')
  const state = requestState === undefined ? {} : { requestState }
  if (inputRequests === undefined) return { kind: 'given', params: state }
  if (!isObject(inputRequests)) throw invalid('requests that are no object')
  const wanted = Object.entries(inputRequests).map(([key, request]) =>
    readRequest(key, request, capabilities),
  )
  if (wanted.length > MOST_INPUTS) throw invalid(`more than ${MOST_INPUTS} inputs at once`)
  if (!ask) throw invalid('input where there is nobody to ask')

  const over = new AbortController()
  const onAbort = (): void => {
    over.abort(signal.reason)
  }
  signal.addEventListener('abort', onAbort)
  try {
    signal.throwIfAborted()
    const answers = await Promise.all(
      wanted.map(async ({ key, method, params }) => ({
        key,
        answer: await ask(method, params, over.signal, key),
      })),
    )
    const responses: [string, Params][] = []
    for (const { key, answer } of answers) {
      // There is no way to tell the server that a client failed (2026-07-28 mrtr, "InputResponses").
      if (answer.kind === 'error') return { kind: 'error', error: answer.error }
      responses.push([key, answer.result])
    }
    return { kind: 'given', params: { inputResponses: Object.fromEntries(responses), ...state } }
  } catch (fault) {
    over.abort(fault)
    throw fault
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

function readRequest(
  key: string,
  request: unknown,
  capabilities: Params,
): { readonly key: string; readonly method: string; readonly params: Params } {
  if (!isObject(request)) throw invalid('a request that is no object')
  const { method, params = {} } = request
  if (typeof method !== 'string' || !ASKABLE.has(method)) throw invalid('a request that is none of a server')
  if (!isObject(params)) throw invalid('a request whose params are no object')
  if (!isDeclared(capabilities, method, params)) throw invalid(`${method}, which the client did not declare`)
  return { key, method, params }
}

const invalid = (what: string): Fault =>
  new Fault('upstream_invalid', 'The MCP server asked its client for something it must not ask.', {
    cause: new Error(`The MCP server asked for ${what}.`),
  })
