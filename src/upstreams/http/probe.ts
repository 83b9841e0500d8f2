import type { Clock } from '../../lib/clock.ts'
import { Fault } from '../../lib/fault.ts'
import { isObject, type Params, type RpcFailure } from '../../lib/json-rpc.ts'
import { LATEST_SESSION_REVISION, SESSION_REVISIONS, STATELESS_REVISION } from '../../lib/revisions.ts'
import { deadline } from '../deadline.ts'
import type { RpcResponse } from '../link.ts'
import { Problem } from '../problem.ts'
import { withRequestMeta } from '../stateless-meta.ts'
import { writeMessage } from '../write-message.ts'
import { discard } from './discard.ts'
import { EventReader } from './event-reader.ts'
import { POSTED } from './http-link.ts'
import type { Peer } from './judge-error.ts'
import { isEventStream } from './media-type.ts'
import { readEvents } from './read-events.ts'
import { NoAnswer, readReply } from './read-reply.ts'
import type { Send } from './send.ts'

/** What is spoken at a URL. */
export type HttpTransport = 'sse' | 'streamable' | 'stateless'

export interface ProbeParts {
  readonly peer: Peer
  readonly send: Send
  readonly clock: Clock
  readonly url: URL
  readonly messageBytes: number
  /** What Postern says of itself: the probe is on nobody's behalf. */
  readonly clientInfo: Params
  readonly signal: AbortSignal
}

/** A server that keeps silent where it should say that it does not understand gets no more of the time than this. */
const STEP_MS = 5_000

/** Errors that only servers of the stateless revision know (2026-07-28 basic, "Error Codes"). */
const VERSION_REFUSED = -32_022
const OF_STATELESS: ReadonlySet<number> = new Set([-32_020, -32_021, VERSION_REFUSED])
const METHOD_NOT_FOUND = -32_601

/**
 * Finds out what a server speaks, by the rules for clients that know every revision (2026-07-28 streamable HTTP,
 * "Backward Compatibility"): a request of the newest revision first, then `initialize`, then the event stream of
 * 2024-11-05. An address that ends in `/sse` is asked for its event stream first.
 *
 * @throws Fault when the server cannot be reached or refuses us (that says nothing of what it speaks), and
 *   `upstream_invalid` when it speaks none of them
 */
export async function probe(parts: ProbeParts): Promise<HttpTransport> {
  const looksLikeSse = /\/sse\/?$/.test(parts.url.pathname)
  if (looksLikeSse && (await offersEventStream(parts))) return 'sse'
  const found = (await asStateless(parts)) ?? (await asSession(parts))
  if (found) return found
  if (!looksLikeSse && (await offersEventStream(parts))) return 'sse'
  throw new Fault('upstream_invalid', `${parts.peer} does not speak MCP at its address.`, {
    cause: new Problem(
      `${parts.peer} answered neither as Streamable HTTP nor as HTTP+SSE. Check its \`url\`.`,
    ),
  })
}

/** `server/discover`, which every stateless server knows. Undefined when the answer leaves it open. */
async function asStateless(parts: ProbeParts): Promise<HttpTransport | undefined> {
  const params = withRequestMeta(
    {},
    {
      clientInfo: parts.clientInfo,
      capabilities: {},
      logLevel: undefined,
      progressToken: undefined,
      trace: undefined,
    },
  )
  const { status, answer } = await ask(parts, 'server/discover', params, {
    'mcp-protocol-version': STATELESS_REVISION,
    'mcp-method': 'server/discover',
  })
  if (!answer) return undefined
  if (answer.kind === 'result') {
    const { supportedVersions } = answer.result
    return Array.isArray(supportedVersions) ? choose(supportedVersions, parts) : 'streamable'
  }
  const { code } = answer.error
  if (code === VERSION_REFUSED) {
    const supported = supportedOf(answer.error)
    return supported ? choose(supported, parts) : 'streamable'
  }
  // With 404 it is how a stateless server says so; an older one has no reason to be both there and not.
  if (OF_STATELESS.has(code) || (code === METHOD_NOT_FOUND && status === 404)) return 'stateless'
  // It reads JSON-RPC here, and not this revision of it.
  return 'streamable'
}

async function asSession(parts: ProbeParts): Promise<HttpTransport | undefined> {
  const { answer, session } = await ask(
    parts,
    'initialize',
    { protocolVersion: LATEST_SESSION_REVISION, capabilities: {}, clientInfo: parts.clientInfo },
    {},
  )
  if (session !== undefined) void endSession(parts, session)
  return answer ? 'streamable' : undefined
}

/** Whether the first event is the one that HTTP+SSE begins with. */
async function offersEventStream(parts: ProbeParts): Promise<boolean> {
  return await step(parts, async (signal) => {
    const { status, headers, body } = await parts.send({
      method: 'GET',
      headers: { accept: 'text/event-stream' },
      body: null,
      signal,
      stream: true,
    })
    if (status >= 300 || !isEventStream(headers['content-type'])) {
      discard(body, parts.clock)
      return false
    }
    let first: string | undefined
    await readEvents(body, new EventReader(parts.messageBytes), parts, ({ type }) => {
      first = type
      return 'stop'
    })
    body.destroy()
    return first === 'endpoint'
  })
    .then((offered) => offered === true)
    .catch((fault: unknown) => {
      if (fault instanceof Fault && fault.code === 'upstream_invalid') return false
      throw fault
    })
}

interface Asked {
  readonly status: number
  /** Undefined for what is no JSON-RPC, and for silence. */
  readonly answer: RpcResponse | undefined
  readonly session?: string
}

async function ask(
  parts: ProbeParts,
  method: string,
  params: Params,
  headers: Readonly<Record<string, string>>,
): Promise<Asked> {
  const asked = await step<Asked>(parts, async (signal) => {
    const id = 0
    const response = await parts.send({
      method: 'POST',
      headers: { ...POSTED, ...headers },
      body: writeMessage({ kind: 'request', id, method, params }),
      signal,
    })
    const given = response.headers['mcp-session-id']
    const session = typeof given === 'string' ? { session: given } : {}
    try {
      const answer = await readReply(response, id, new EventReader(parts.messageBytes), undefined, parts)
      return { status: response.status, answer, ...session }
    } catch (fault) {
      if (fault instanceof NoAnswer || (fault instanceof Fault && fault.code === 'upstream_invalid')) {
        return { status: response.status, answer: undefined, ...session }
      }
      throw fault
    }
  })
  return asked ?? { status: 0, answer: undefined }
}

/** Runs one step for a bounded time; undefined when that was not enough. */
async function step<T>(
  { clock, signal }: ProbeParts,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const silent = new Error('silent')
  const time = deadline(clock, STEP_MS, () => silent, signal)
  try {
    signal.throwIfAborted()
    return await run(time.signal)
  } catch (fault) {
    if (time.signal.reason === silent) return undefined
    throw fault
  } finally {
    time.done()
  }
}

/** The session that the probe was given is ended again; a server that does not care will end it by itself. */
async function endSession(parts: ProbeParts, session: string): Promise<void> {
  try {
    const { body } = await parts.send({
      method: 'DELETE',
      headers: { 'mcp-session-id': session, 'mcp-protocol-version': LATEST_SESSION_REVISION },
      body: null,
      signal: parts.signal,
    })
    discard(body, parts.clock)
  } catch {
    // It was a courtesy.
  }
}

function choose(supported: readonly unknown[], { peer }: ProbeParts): HttpTransport {
  if (supported.includes(STATELESS_REVISION)) return 'stateless'
  if (SESSION_REVISIONS.some((revision) => supported.includes(revision))) return 'streamable'
  throw new Fault('upstream_invalid', `${peer} speaks no protocol revision that Postern knows.`)
}

function supportedOf({ data }: RpcFailure): readonly unknown[] | undefined {
  return isObject(data) && Array.isArray(data['supported']) ? data['supported'] : undefined
}
