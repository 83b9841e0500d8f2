import type { TraceContext } from './trace-context.ts'

/** Facts of a span, by the names of OpenTelemetry's semantic conventions. Never a value of a caller's data. */
export type SpanFacts = Readonly<Record<string, string | number | boolean | undefined>>

export interface NewSpan {
  /** `server`: a request to Postern. `client`: a request that Postern makes. */
  readonly kind: 'server' | 'client'
  readonly name: string
  readonly parent: TraceContext | undefined
  /** Milliseconds since the epoch, where the work began before the span could. */
  readonly startedAt?: number
  readonly facts: SpanFacts
}

export interface Span {
  /** What is handed on with the work inside this span; where no spans are made, the parent as it came. */
  readonly context: TraceContext | undefined
  end(outcome?: SpanOutcome): void
}

export interface SpanOutcome {
  readonly facts?: SpanFacts
  /** A code, or the class of what went wrong; absent when nothing did. */
  readonly error?: string
  /** In place of the first one, where more is known now. */
  readonly name?: string
}

/** Makes spans. Nothing here throws, waits, or fails a request. */
export interface Tracing {
  /** False where no spans are made: what only describes them need not be worked out. */
  readonly on: boolean
  begin(span: NewSpan): Span
  /** Sends what is left, within a short time. */
  close(): Promise<void>
}

/** Passes the traces of clients on and adds nothing. */
export const noTracing: Tracing = {
  on: false,
  begin: ({ parent }) => (parent === undefined ? SILENT : { context: parent, end: () => undefined }),
  close: () => Promise.resolve(),
}

const SILENT: Span = { context: undefined, end: () => undefined }
