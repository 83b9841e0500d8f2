import type { ServerResponse } from 'node:http'
import type { Caller } from '../identity/caller.ts'
import type { TraceContext } from '../observe/trace-context.ts'
import type { Pipeline } from '../tools/call.ts'
import type { ToolResult } from '../tools/tool.ts'
import type { StopReason } from './error-to-rpc.ts'
import type { Holdings } from './holdings.ts'
import type { Params, RequestId } from './message.ts'
import { type Deadlines, RunningCall } from './running-call.ts'
import type { Session } from './session.ts'

/** One `tools/call` whose shape is known to be good. */
export interface CallToRun {
  readonly caller: Caller
  readonly requestId: string
  readonly id: RequestId
  readonly tool: string
  readonly args: Params
  readonly session: Session | undefined
  /** The reply's connection: when it closes first, nobody is left to answer. Absent on a 2024-11-05 stream. */
  readonly response: ServerResponse | undefined
  readonly trace: TraceContext | undefined
}

export type CallOutcome =
  | { readonly kind: 'answered'; readonly result: ToolResult }
  | { readonly kind: 'failed'; readonly fault: unknown }
  | { readonly kind: 'stopped'; readonly reason: StopReason }

/** Calls of one credential at once; a 2024-11-05 client could otherwise start any number over one connection. */
export const CALLS_PER_CREDENTIAL = 512

/** Runs tool calls through the pipeline and stops them when their client, credential, session or time ends. */
export class Calls {
  readonly #pipeline: Pipeline
  readonly #holdings: Holdings
  readonly #deadlines: Deadlines

  constructor(pipeline: Pipeline, holdings: Holdings, deadlines: Deadlines) {
    this.#pipeline = pipeline
    this.#holdings = holdings
    this.#deadlines = deadlines
  }

  /** True when the credential already runs as many calls as it may. */
  full(credentialId: string): boolean {
    return (this.#holdings.peek(credentialId)?.calls.size ?? 0) >= CALLS_PER_CREDENTIAL
  }

  /** Never rejects. A call that was stopped is answered at once, even when its tool does not listen. */
  run(asked: CallToRun): Promise<CallOutcome> {
    return new Promise((resolve) => {
      const credentialId = asked.caller.credential.id
      const { session, response } = asked
      const holding = this.#holdings.of(credentialId)

      const settle = (outcome: CallOutcome): void => {
        holding.calls.remove(held)
        this.#holdings.settle(credentialId, holding)
        this.#deadlines.remove(timed)
        if (session?.calls?.get(asked.id) === call) session.calls.delete(asked.id)
        if (response) response.off('close', gone)
        resolve(outcome)
      }
      const call = new RunningCall((reason) => {
        settle({ kind: 'stopped', reason })
      })
      // The 2025 revisions say that a lost connection is not a cancellation. Their streams can be resumed;
      // ours cannot, so an answer that nobody can fetch is not worth a database connection.
      const gone = (): void => {
        call.stop('gone')
      }

      const held = holding.calls.add(call)
      const timed = this.#deadlines.add(call)
      if (session) (session.calls ??= new Map()).set(asked.id, call)
      if (response) response.once('close', gone)

      this.#pipeline
        .call({
          caller: asked.caller,
          tool: asked.tool,
          args: asked.args,
          requestId: asked.requestId,
          wire: 'mcp',
          signal: call.signal,
          trace: asked.trace,
        })
        .then(
          (result) => {
            settle({ kind: 'answered', result })
          },
          (fault: unknown) => {
            settle({ kind: 'failed', fault })
          },
        )
    })
  }
}
