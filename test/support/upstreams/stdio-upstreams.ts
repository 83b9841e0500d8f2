import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Caller } from '../../../src/identity/caller.ts'
import { Lifelines } from '../../../src/identity/lifelines.ts'
import type { Clock } from '../../../src/lib/clock.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import type { Params } from '../../../src/lib/json-rpc.ts'
import type { Observation } from '../../../src/observe/observation.ts'
import type {
  Answer,
  AskAnswer,
  ClientFacts,
  Conversation,
  Inbox,
  OutgoingRequest,
} from '../../../src/upstreams/conversation.ts'
import { openUpstreams, type UpstreamsParts } from '../../../src/upstreams/open.ts'
import type { StdioReach, UpstreamLimits, UpstreamOptions } from '../../../src/upstreams/options.ts'
import type { Upstreams } from '../../../src/upstreams/upstream.ts'

export const UNRULY = fileURLToPath(new URL('./unruly-server.ts', import.meta.url))

/** An upstream that is the unruly server, or another program. */
export function stdioUpstream(
  name: string,
  more: {
    readonly flags?: readonly string[]
    readonly reach?: Partial<StdioReach>
    readonly limits?: Partial<UpstreamLimits>
    readonly options?: Partial<UpstreamOptions>
  } = {},
): UpstreamOptions {
  return {
    name,
    reach: {
      kind: 'stdio',
      command: process.execPath,
      args: [UNRULY, ...(more.flags ?? [])],
      env: {},
      cwd: null,
      process: 'caller',
      ...more.reach,
    },
    rules: {
      authTokens: null,
      scopes: [],
      level: 'read-write',
      trustHints: false,
      toolFilter: null,
      tools: {},
    },
    userCredential: null,
    limits: {
      timeoutMs: 20_000,
      connectTimeoutMs: 20_000,
      messageBytes: 8 * 1_048_576,
      concurrency: 64,
      conversations: 16,
      idleMs: 60_000,
      ...more.limits,
    },
    ...more.options,
  }
}

export const callerOf = (id: string): Caller => ({
  principal: { kind: 'service', id, name: id },
  credential: { id: `static:${id}`, kind: 'static', name: id, createdAt: null, expiresAt: null },
  grant: { tenant: 'default', level: 'admin', scopes: 'all', servers: 'all', databases: 'all' },
})

export const CLIENT: ClientFacts = {
  clientInfo: { name: 'test', version: '1' },
  capabilities: {},
  revision: '2025-11-25',
}

export interface TestUpstreams {
  readonly upstreams: Upstreams
  readonly lifelines: Lifelines
  readonly observed: Observation[]
  close(): Promise<void>
}

export function openTestUpstreams(
  options: readonly UpstreamOptions[],
  more: Partial<UpstreamsParts> & { readonly clock?: Clock } = {},
): TestUpstreams {
  const lifelines = new Lifelines()
  const observed: Observation[] = []
  const upstreams = openUpstreams(options, {
    lifelines,
    clock: systemClock,
    observe: (observation) => observed.push(observation),
    environment: process.env,
    clientInfo: { name: 'postern', version: '0' },
    credentials: null,
    ...more,
  })
  return { upstreams, lifelines, observed, close: () => upstreams.close() }
}

/** An inbox that remembers, and answers what it is asked with `answer`. */
export interface TestInbox extends Inbox {
  readonly notified: { readonly method: string; readonly params: Params }[]
  readonly asked: { readonly method: string; readonly params: Params; readonly signal: AbortSignal }[]
  readonly endings: Error[]
}

export function testInbox(answer?: (method: string, params: Params) => Promise<AskAnswer>): TestInbox {
  const notified: TestInbox['notified'] = []
  const asked: TestInbox['asked'] = []
  const endings: Error[] = []
  return {
    notified,
    asked,
    endings,
    notification: (method, params) => notified.push({ method, params }),
    ask(method, params, signal) {
      asked.push({ method, params, signal })
      return answer?.(method, params) ?? Promise.reject(new Error('nobody answers'))
    },
    ended: (fault) => endings.push(fault),
  }
}

/** Begins a conversation that must not be refused. */
export async function converse(
  { upstreams }: TestUpstreams,
  server: string,
  more: {
    readonly caller?: Caller
    readonly client?: ClientFacts
    readonly inbox?: Inbox
    readonly signal?: AbortSignal
  } = {},
): Promise<Conversation> {
  const upstream = upstreams.find(server)
  if (!upstream) throw new Error(`no server ${server}`)
  const begun = await upstream.converse(
    more.caller ?? callerOf('a'),
    more.client ?? CLIENT,
    more.inbox ?? testInbox(),
    more.signal ?? new AbortController().signal,
  )
  if (!begun.ok) throw new Error(begun.error.message)
  return begun.value
}

/** Calls a tool. */
export const call = (
  conversation: Conversation,
  name: string,
  args: Params = {},
  more: Partial<OutgoingRequest> = {},
): Promise<Answer> =>
  conversation.request({
    method: 'tools/call',
    params: { name, arguments: args },
    signal: new AbortController().signal,
    ...more,
  })

/** The text of a result. */
export function textOf(answer: Answer): string {
  if (answer.kind === 'error') throw new Error(answer.error.message)
  const [first] = answer.result['content'] as { readonly text: string }[]
  return first?.text ?? ''
}

/** Calls a tool and gives the text of its result. */
export const callText = async (...args: Parameters<typeof call>): Promise<string> =>
  textOf(await call(...args))

/** Whether a process runs; one that ended and was not waited for does not. */
export function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
