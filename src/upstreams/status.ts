import type { Revision } from '../lib/revisions.ts'

/** What is known of an upstream server without asking it. */
export interface UpstreamStatus {
  readonly name: string
  readonly transport: 'stdio' | 'sse' | 'streamable' | 'stateless' | 'unknown'
  /** `idle`: nobody has needed it yet, or it was let go. `failing`: the last attempt failed; `retryAt` says when the next is due. */
  readonly state: 'idle' | 'up' | 'failing'
  readonly revision: Revision | null
  /** Milliseconds since the epoch: when transport and revision were found out. */
  readonly probedAt: number | null
  readonly since: number
  readonly conversations: number
  readonly running: number
  /** Processes, for stdio. */
  readonly processes: number
  readonly restarts: number
  readonly retryAt: number | null
  /** One sentence, without credentials; `null` while nothing failed. */
  readonly problem: string | null
}
