/** What an audit entry records. Facts about a call; never an argument, a value or a credential. */
export interface AuditEvent {
  readonly kind: 'authentication' | 'decision' | 'execution' | 'administration' | 'system'
  /** `allow`, `refuse`, `done`, `failed`. */
  readonly outcome: 'allow' | 'refuse' | 'done' | 'failed'
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly requestId?: string
  readonly principal?: string
  readonly credentialId?: string
  readonly tenant?: string
  readonly wire?: string
  /** Tool, or the administrative act such as `token.add`. */
  readonly action?: string
  /** Database, server, or the id of what was administered. */
  readonly target?: string
  readonly rule?: string
  readonly durationMs?: number
  readonly rowCount?: number
  readonly remoteAddress?: string
  /** How many events this entry stands for, where a flood of them was counted instead of listed. */
  readonly count?: number
}

/** Takes events off the hot path. `record` never waits; `full` says that callers should. */
export interface AuditSink {
  record(event: AuditEvent): void
  /** Resolves when there is room again: the backpressure of a store that does not keep up. */
  room(): Promise<void> | undefined
}
