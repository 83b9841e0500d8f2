import type { Refusal } from '../../../access/refusal.ts'
import { Fault } from '../../../lib/fault.ts'
import { allPages, type AskPage } from '../all-pages.ts'
import type { GuardedRequest } from '../backend.ts'
import { LISTS, type LeftOut, type ListMethod } from './lists.ts'
import type { Member } from './member.ts'
import type { Part } from './merge-lists.ts'
import { unlessAborted } from '../../../lib/unless-aborted.ts'

const METHOD_NOT_FOUND = -32_601

/** The aborting fault of a server that took longer than a list may. */
export const tooSlow = (): Fault =>
  new Fault('upstream_timeout', 'The MCP server did not answer in the time that a list has.')

/**
 * What one server has for a list. That it is away, slow or broken is told and not thrown, so that the others are
 * listed; only an aborted request of the client throws.
 *
 * @param deadline aborted when the client gave up or the server's time is over
 */
export async function partOfList(
  member: Member,
  method: ListMethod,
  call: GuardedRequest,
  deadline: AbortSignal,
): Promise<Part> {
  const { server } = member
  const { caller, requestId, wire, trace } = call
  let refusal: Refusal | undefined
  try {
    if (member.late) throw tooSlow()
    const conversation = await unlessAborted(member.get(call), deadline)
    if (!conversation.ok) return refusedPart(server, conversation.error)
    const { value } = conversation
    if (value.about.capabilities[LISTS[method].capability] === undefined) return { server, items: [] }
    const ask: AskPage = async (params) => {
      const answer = await value.request({
        caller,
        requestId,
        wire,
        method,
        params,
        signal: deadline,
        ...(trace === undefined ? {} : { trace }),
      })
      if (answer.kind !== 'refused') return answer
      refusal = answer.refusal
      return { kind: 'error', error: { code: METHOD_NOT_FOUND, message: answer.refusal.message } }
    }
    const items = await unlessAborted(allPages(ask, LISTS[method].member), deadline)
    if (items.ok) return { server, items: items.value }
    if (refusal) return refusedPart(server, refusal)
    // A server may say that it has prompts and know no way to list them: that is a list without any.
    if (items.error.code === METHOD_NOT_FOUND) return { server, items: [] }
    return {
      server,
      items: [],
      leftOut: { server, code: 'upstream_invalid', message: 'The MCP server answered with an error.' },
    }
  } catch (fault) {
    call.signal.throwIfAborted()
    return { server, items: [], leftOut: unavailable(server, fault) }
  }
}

/** What the caller may not use is not missing; a credential of its own that it has to leave first is. */
function refusedPart(server: string, { code, message }: Refusal): Part {
  return code === 'upstream_credential_missing'
    ? { server, items: [], leftOut: { server, code, message } }
    : { server, items: [] }
}

/** A fault as a list tells it: by its code and the sentence that is made for callers. */
export function unavailable(server: string, fault: unknown): LeftOut {
  return fault instanceof Fault
    ? { server, code: fault.code, message: fault.message }
    : { server, code: 'internal', message: 'The MCP server could not be asked.' }
}
