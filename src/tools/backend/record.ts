import type { Refusal } from '../../access/refusal.ts'
import type { AuditEvent, AuditSink } from '../../audit/entry.ts'
import type { Caller } from '../../identity/caller.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Observe } from '../../observe/observation.ts'
import { elapsedMs } from '../elapsed-ms.ts'
import type { Admission } from './backend.ts'

export interface RecordParts {
  readonly audit: AuditSink
  readonly clock: Clock
  readonly observe: Observe
}

/** A request to a server as the record has it: who, by which wire, what; never an argument. */
export interface Asked {
  readonly caller: Caller
  /** Absent for what belongs to no request. */
  readonly requestId?: string
  readonly wire: 'mcp' | 'rest'
  readonly server: string
  /** The tool, or the method of what is no tool call. */
  readonly action: string
  /** The tool for metrics, which keep each name they ever see: only one that the server has. */
  readonly tool?: string
}

/** For what is decided and not recorded. */
export const UNRECORDED: Admission = { settle: () => undefined }

/**
 * A request that was allowed. One row tells of it, when it is over: by which rule it was allowed, and what came
 * of it. What is under way when a process is killed is missing from the record, as the rows of its last
 * moments are; the alternative is a second row for each forwarded call.
 */
export class RecordedAdmission implements Admission {
  readonly #startedAt = performance.now()
  readonly #asked: Asked
  readonly #rule: string
  readonly #parts: RecordParts
  #settled = false

  constructor(asked: Asked, rule: string, parts: RecordParts) {
    this.#asked = asked
    this.#rule = rule
    this.#parts = parts
  }

  settle(outcome: 'done' | 'failed', facts?: { readonly rule?: string }): void {
    if (this.#settled) return
    this.#settled = true
    const durationMs = elapsedMs(this.#startedAt)
    const { audit, clock, observe } = this.#parts
    const asked = this.#asked
    const { caller } = asked
    // Written out: this is made for each forwarded call, and spreading costs as much as the decision.
    const event: AuditEvent = {
      kind: 'execution',
      outcome,
      at: clock.now(),
      ...(asked.requestId === undefined ? {} : { requestId: asked.requestId }),
      principal: caller.principal.id,
      credentialId: caller.credential.id,
      tenant: caller.grant.tenant,
      wire: asked.wire,
      action: asked.action,
      target: asked.server,
      rule: facts?.rule ?? this.#rule,
      durationMs,
    }
    audit.record(event)
    if (asked.tool !== undefined) {
      observe({ kind: 'tool', tool: asked.tool, server: asked.server, outcome, durationMs })
    }
  }
}

export function recordRefusal(asked: Asked, { rule }: Refusal, parts: RecordParts): void {
  const { caller } = asked
  parts.audit.record({
    kind: 'decision',
    outcome: 'refuse',
    at: parts.clock.now(),
    ...(asked.requestId === undefined ? {} : { requestId: asked.requestId }),
    principal: caller.principal.id,
    credentialId: caller.credential.id,
    tenant: caller.grant.tenant,
    wire: asked.wire,
    action: asked.action,
    target: asked.server,
    rule,
  })
  if (asked.tool !== undefined) {
    parts.observe({ kind: 'tool', tool: asked.tool, server: asked.server, outcome: 'refused', durationMs: 0 })
  }
}
