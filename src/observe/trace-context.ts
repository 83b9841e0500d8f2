/** W3C Trace Context, as headers or `_meta` carry it: checked, so that it can be sent on as it is. */
export interface TraceContext {
  /** `00-<trace id>-<parent id>-<flags>` (Trace Context §3.2). */
  readonly traceparent: string
  readonly tracestate?: string
}
