import { isObject, type Params } from '../../../lib/json-rpc.ts'
import { STATELESS_REVISION } from '../../../lib/revisions.ts'
import type { ServerFacts } from '../../../upstreams/conversation.ts'

/** Characters of one server's instructions that are passed on among those of others. */
const LONGEST_INSTRUCTIONS = 8_000

/** Said of a server that has not answered yet: it may have anything, and a client asks for what it was promised. */
export const UNKNOWN_CAPABILITIES: Params = {
  prompts: {},
  resources: { subscribe: true },
  completions: {},
  logging: {},
}

/** One server as the aggregate knows it when a client begins. */
export interface MemberFacts {
  readonly server: string
  readonly capabilities: Params
  readonly instructions?: string
}

/**
 * Many servers as one: what any of them can, all of them can. Tasks and extensions are left out, because nothing in
 * them says which server is meant.
 */
export function mergedFacts(serverInfo: Params, members: readonly MemberFacts[]): ServerFacts {
  const any = (name: string): boolean => members.some(({ capabilities }) => isObject(capabilities[name]))
  const subscribe = members.some(
    ({ capabilities: { resources } }) => isObject(resources) && resources['subscribe'] === true,
  )
  const instructions = members.flatMap(({ server, instructions: words }) =>
    words === undefined || words.trim() === ''
      ? []
      : [`Server ${server}:\n${words.trim().slice(0, LONGEST_INSTRUCTIONS)}`],
  )
  return {
    revision: STATELESS_REVISION,
    serverInfo,
    capabilities: {
      tools: { listChanged: true },
      ...(any('prompts') ? { prompts: { listChanged: true } } : {}),
      ...(any('resources') ? { resources: { listChanged: true, ...(subscribe ? { subscribe } : {}) } } : {}),
      ...(any('completions') ? { completions: {} } : {}),
      ...(any('logging') ? { logging: {} } : {}),
    },
    ...(instructions.length === 0 ? {} : { instructions: instructions.join('\n\n') }),
  }
}
