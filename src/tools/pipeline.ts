import { decide } from '../access/decide.ts'
import { type Refusal, refusal } from '../access/refusal.ts'
import { stoppedBy, stopRefusal } from '../access/stop-refusal.ts'
import type { AuditEvent, AuditSink } from '../audit/entry.ts'
import type { Caller } from '../identity/caller.ts'
import type { Databases } from '../databases/database.ts'
import type { Grant, Level } from '../identity/grant.ts'
import type { Clock } from '../lib/clock.ts'
import type { Observe } from '../observe/observation.ts'
import type { Pipeline, ToolCall } from './call.ts'
import { elapsedMs } from './elapsed-ms.ts'
import { faultCode } from './fault-code.ts'
import type { ParsedCall, Tool, ToolResult } from './tool.ts'

export interface PipelineParts {
  readonly tools: readonly Tool[]
  /** Which databases of a grant its tenant may use; without it, all. Whoever runs a statement asks again. */
  readonly databases?: Pick<Databases, 'reach'>
  readonly audit: AuditSink
  readonly clock: Clock
  readonly observe: Observe
}

/** Builds the one pipeline that every wire calls: decide, execute, record, in this order, always. */
export function createPipeline({ tools, databases, audit, clock, observe }: PipelineParts): Pipeline {
  const byName = new Map(tools.map((tool) => [tool.rule.name, tool]))
  const inOrder = [...byName.values()].sort((a, b) => (a.rule.name < b.rule.name ? -1 : 1))

  const withinReach = (grant: Grant): Grant => {
    const reach = databases?.reach(grant) ?? grant.databases
    return reach === grant.databases ? grant : { ...grant, databases: reach }
  }
  const judge = (caller: Caller, tool: Tool, database: string | undefined) =>
    decide(
      withinReach(caller.grant),
      caller.credential,
      database === undefined ? { tool: tool.rule } : { tool: tool.rule, database },
      clock.now(),
    )

  return {
    list: (caller) =>
      inOrder
        .filter((tool) => judge(caller, tool, undefined).outcome === 'allow')
        .map((tool) => withHintsFor(caller, tool)),

    explain(caller, name, database) {
      const tool = byName.get(name)
      if (!tool) return { allowed: false, rule: 'tool', refusal: unknownTool(name) }
      const decision = judge(caller, tool, database)
      return decision.outcome === 'allow'
        ? { allowed: true, rule: decision.rule }
        : { allowed: false, rule: decision.rule, refusal: decision.refusal }
    },

    async call(call) {
      const room = audit.room()
      if (room) await room
      if (call.signal.aborted) return { outcome: 'refused', refusal: stopRefusal(stoppedBy(call.signal)) }
      const startedAt = performance.now()

      const settled = settle(call)
      audit.record({
        ...facts(call),
        kind: 'decision',
        outcome: settled.ok ? 'allow' : 'refuse',
        at: clock.now(),
        rule: settled.rule,
        ...(settled.target === undefined ? {} : { target: settled.target }),
      })
      if (!settled.ok) {
        observe({
          kind: 'tool',
          tool: settled.tool,
          outcome: 'refused',
          durationMs: performance.now() - startedAt,
        })
        return { outcome: 'refused', refusal: settled.refusal }
      }

      try {
        const result = await settled.parsed.run(call)
        recordExecution(call, result, settled.target, startedAt)
        return result
      } catch (fault) {
        audit.record({
          ...facts(call),
          kind: 'execution',
          outcome: 'failed',
          at: clock.now(),
          rule: faultCode(fault),
          ...(settled.target === undefined ? {} : { target: settled.target }),
          durationMs: elapsedMs(startedAt),
        })
        observe({
          kind: 'tool',
          tool: call.tool,
          outcome: 'failed',
          durationMs: performance.now() - startedAt,
        })
        throw fault
      }
    },
  }

  /** Everything before execution: is there such a tool, may this caller use it, are the arguments good. */
  function settle(call: ToolCall): Settled {
    const tool = byName.get(call.tool)
    if (!tool)
      return {
        ok: false,
        tool: '(unknown)',
        rule: 'tool',
        refusal: unknownTool(call.tool),
        target: undefined,
      }
    // Level and scope first: who may not call a tool learns nothing from its argument checks.
    const decision = judge(call.caller, tool, undefined)
    if (decision.outcome === 'refuse') {
      return { ok: false, tool: call.tool, rule: decision.rule, refusal: decision.refusal, target: undefined }
    }
    const parsed = tool.parse(call.args)
    if (!parsed.ok) {
      const reason = refusal('invalid_arguments', 'arguments', parsed.error)
      return { ok: false, tool: call.tool, rule: reason.rule, refusal: reason, target: undefined }
    }
    const { database } = parsed.value
    const target = parsed.value.target ?? database
    if (database === undefined) return { ok: true, rule: decision.rule, parsed: parsed.value, target }
    const narrowed = judge(call.caller, tool, database)
    return narrowed.outcome === 'allow'
      ? { ok: true, rule: narrowed.rule, parsed: parsed.value, target }
      : { ok: false, tool: call.tool, rule: narrowed.rule, refusal: narrowed.refusal, target }
  }

  function recordExecution(
    call: ToolCall,
    result: ToolResult,
    target: string | undefined,
    startedAt: number,
  ): void {
    const durationMs = elapsedMs(startedAt)
    const where = result.target ?? target
    audit.record({
      ...facts(call),
      kind: 'execution',
      outcome: result.outcome === 'done' ? 'done' : 'refuse',
      at: clock.now(),
      ...(where === undefined ? {} : { target: where }),
      ...(result.outcome === 'refused' ? { rule: result.refusal.rule } : {}),
      durationMs,
      ...(result.outcome === 'done' && result.rowCount !== undefined ? { rowCount: result.rowCount } : {}),
    })
    observe({
      kind: 'tool',
      tool: call.tool,
      outcome: result.outcome,
      durationMs,
      ...(where === undefined ? {} : { database: where }),
    })
  }
}

type Settled =
  | {
      readonly ok: true
      readonly rule: string
      readonly parsed: ParsedCall
      readonly target: string | undefined
    }
  | {
      readonly ok: false
      readonly tool: string
      readonly rule: string
      readonly refusal: Refusal
      readonly target: string | undefined
    }

/** One object for each level, so that what is worked out of a listed tool can be kept under it. */
const hinted = new WeakMap<Tool, Map<Level, Tool>>()

function withHintsFor({ grant: { level } }: Caller, tool: Tool): Tool {
  if (!tool.annotationsFor) return tool
  let byLevel = hinted.get(tool)
  if (!byLevel) hinted.set(tool, (byLevel = new Map()))
  let forLevel = byLevel.get(level)
  if (!forLevel) byLevel.set(level, (forLevel = { ...tool, annotations: tool.annotationsFor(level) }))
  return forLevel
}

/** The part of an entry that says who asked for what. A name no tool has is cut short: it is the caller's text. */
function facts(
  call: ToolCall,
): Pick<AuditEvent, 'requestId' | 'principal' | 'credentialId' | 'tenant' | 'wire' | 'action'> {
  const { caller } = call
  return {
    requestId: call.requestId,
    principal: caller.principal.id,
    credentialId: caller.credential.id,
    tenant: caller.grant.tenant,
    wire: call.wire,
    action: call.tool.slice(0, 128),
  }
}

function unknownTool(name: string): Refusal {
  return refusal('unknown_tool', 'tool', `there is no tool "${name.slice(0, 128)}"`, {
    allowed: 'the tools that tools/list or GET /mcp/tools names',
  })
}
