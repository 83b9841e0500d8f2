import type { AuditEvent } from '../../src/audit/entry.ts'
import type { Caller, CredentialKind } from '../../src/identity/caller.ts'
import { Lifelines } from '../../src/identity/lifelines.ts'
import type { Grant } from '../../src/identity/grant.ts'
import type { Params } from '../../src/lib/json-rpc.ts'
import type { Observation } from '../../src/observe/observation.ts'
import type { Backends, GuardedRequest } from '../../src/tools/backend/backend.ts'
import { createBackends } from '../../src/tools/backend/create.ts'
import { createPipeline } from '../../src/tools/pipeline.ts'
import type { AskAnswer, ClientFacts, Inbox } from '../../src/upstreams/conversation.ts'
import { type ManualClock, manualClock } from './clock.ts'
import { type SdkServer, type SdkUpstreams, sdkUpstreams } from './sdk-upstreams.ts'
import { echoTool, testTool } from './tools.ts'

export interface BackendsHarness {
  readonly backends: Backends
  readonly upstreams: SdkUpstreams
  readonly clock: ManualClock
  readonly audit: AuditEvent[]
  readonly observed: Observation[]
  /** While set, the record takes nothing. */
  full: Promise<void> | undefined
}

/** Never answers and listens to nobody. Only an administrator may call it, so that no list of others has it. */
const endlessTool = testTool({
  name: 'endless',
  rule: { level: 'admin' },
  run: () => new Promise(() => undefined),
})

/** Servers of the SDK behind their rules, with `echo` as Postern's own tool. */
export function openBackends(servers: readonly SdkServer[]): BackendsHarness {
  const upstreams = sdkUpstreams(servers)
  const clock = manualClock()
  const audit: AuditEvent[] = []
  const observed: Observation[] = []
  const harness: { full: Promise<void> | undefined } = { full: undefined }
  const parts = {
    audit: { record: (event: AuditEvent) => void audit.push(event), room: () => harness.full },
    clock,
    observe: (observation: Observation) => void observed.push(observation),
  }
  const own = createPipeline({ tools: [echoTool, endlessTool], ...parts })
  const backends = createBackends({
    ...parts,
    upstreams,
    lifelines: new Lifelines(),
    own,
    requestTimeoutMs: 30_000,
    aggregate: { delimiter: '__', listTimeoutMs: 1_000 },
    serverInfo: { name: 'postern', version: '1' },
  })
  return Object.assign(harness, { backends, upstreams, clock, audit, observed })
}

export const someone = (
  grant: Partial<Grant> = {},
  credential: { readonly kind?: CredentialKind; readonly name?: string } = {},
): Caller => ({
  principal: { kind: 'service', id: 'ann', name: 'ann' },
  credential: {
    id: `tok_${credential.name ?? 'ann'}`,
    kind: 'issued',
    name: 'ann',
    createdAt: null,
    expiresAt: null,
    ...credential,
  },
  grant: {
    tenant: 'default',
    level: 'read-write',
    scopes: 'all',
    servers: 'all',
    databases: 'all',
    ...grant,
  },
})

export const CLIENT: ClientFacts = {
  clientInfo: { name: 'test', version: '1' },
  capabilities: {},
  revision: '2025-11-25',
}

export interface TestInbox extends Inbox {
  readonly heard: { readonly method: string; readonly params: Params }[]
  readonly asked: { readonly method: string; readonly params: Params }[]
  readonly ends: Error[]
}

export function testInbox(answer: AskAnswer = { kind: 'result', result: {} }): TestInbox {
  const heard: { method: string; params: Params }[] = []
  const asked: { method: string; params: Params }[] = []
  const ends: Error[] = []
  return {
    heard,
    asked,
    ends,
    notification: (method, params) => void heard.push({ method, params }),
    async ask(method, params) {
      asked.push({ method, params })
      return answer
    },
    ended: (fault) => void ends.push(fault),
  }
}

export const asking = (
  caller: Caller,
  method: string,
  params: Params = {},
  more: Partial<GuardedRequest> = {},
): GuardedRequest => ({
  caller,
  requestId: 'req-1',
  wire: 'mcp',
  method,
  params,
  signal: AbortSignal.timeout(10_000),
  ...more,
})
