import type { AuditState } from '../audit/open.ts'

/** The store as an operator sees it; what it holds is nobody's business here. */
export interface StoreHealth {
  readonly kind: string
  readonly reachable: boolean
  readonly latencyMs: number | null
  readonly sizeBytes: number | null
  readonly schemaVersion: number | null
  readonly readOnly: boolean | null
  readonly problem: string | null
}

/** How the parts are that no route but health has to do with. */
export interface HealthSource {
  /** Answers within two seconds, whatever the store does. */
  store(): Promise<StoreHealth>
  /** False while changes made by other processes may be missed. */
  feedHealthy(): boolean
  audit(): AuditState
  /** True once the gateway is stopping. */
  draining(): boolean
  /** Milliseconds since the epoch. */
  readonly startedAt: number
}
