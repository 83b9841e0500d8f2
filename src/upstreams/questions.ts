import type { Params, RequestId } from '../lib/json-rpc.ts'
import { isObject } from '../lib/json-rpc.ts'
import type { Ask, AskAnswer } from './conversation.ts'
import type { RpcRequest } from './link.ts'
import { unlessAborted } from '../lib/unless-aborted.ts'

/** Requests of a server that wait for an answer. */
export const MOST_QUESTIONS = 64

/** What one server asks its clients, until it is answered, taken back, or nobody needs the answer any more. */
export class Questions {
  readonly #open = new Map<RequestId, AbortController>()

  /** Makes room for a question; undefined when too many are open, or one under this id is. Followed by one `put`. */
  open(id: RequestId): AbortController | undefined {
    if (this.#open.size >= MOST_QUESTIONS || this.#open.has(id)) return undefined
    const question = new AbortController()
    this.#open.set(id, question)
    return question
  }

  /** Puts it to a client. Never rejects; undefined where the server no longer waits for an answer. */
  async put(
    { id, method, params }: RpcRequest,
    ask: Ask,
    { signal }: AbortController,
  ): Promise<AskAnswer | undefined> {
    try {
      return await unlessAborted(ask(method, withoutProgressToken(params), signal), signal)
    } catch {
      if (signal.aborted && signal.reason === TAKEN_BACK) return undefined
      return { kind: 'error', error: { code: -32_603, message: 'The client could not be asked.' } }
    } finally {
      this.#open.delete(id)
    }
  }

  /** @param id what the server says is the id of its question */
  takeBack(id: unknown): void {
    if (typeof id === 'number' || typeof id === 'string') this.#open.get(id)?.abort(TAKEN_BACK)
  }

  end(fault: Error): void {
    for (const question of this.#open.values()) question.abort(fault)
  }
}

const TAKEN_BACK = new Error('The server took its request back.')

/** Progress of a client's work for the server would have to be told by a token of this hop: it is not offered. */
function withoutProgressToken(params: Params): Params {
  const meta = params['_meta']
  if (!isObject(meta) || meta['progressToken'] === undefined) return params
  const { progressToken: _, ...rest } = meta
  return { ...params, _meta: rest }
}
