import { randomBytes } from 'node:crypto'
import { BoundedMap } from '../../lib/bounded-map.ts'
import type { Clock } from '../../lib/clock.ts'
import { SEALING_KEY_BYTES } from '../../lib/seal.ts'
import type { Backend } from '../../tools/backend/backend.ts'
import type { McpExchange } from '../exchange.ts'
import type { Sessions } from '../sessions.ts'
import { isStateless } from '../standard-headers.ts'
import type { RelayParts } from './relay.ts'
import { SessionSeal } from './session-seal.ts'
import { SessionClient } from './session-client.ts'
import { StatelessClient } from './stateless-client.ts'
import { Streams } from './streams.ts'

export interface DirectParts extends RelayParts {
  readonly sessions: Sessions
  readonly clock: Clock
  /** Streams that may be open at once, of all sessions together. */
  readonly maxStreams: number
  /** Of those, the ones that a single credential may listen on. */
  readonly maxStreamsPerCredential: number
  /** 32 bytes that seal session ids, the same for all replicas. Absent: of this process alone, until it ends. */
  readonly sealKey?: Uint8Array
}

/** The fast path: messages whose revision and transport are the same on both sides pass as they are. */
export interface Direct {
  /**
   * Takes an exchange over where it can, and answers it; also after this has returned. Never throws for what a
   * client or a server sent.
   *
   * @returns false when the exchange is for somebody else
   */
  serve(exchange: McpExchange, backend: Backend): boolean
  /** Streams that are open. */
  readonly streams: number
  close(): void
}

/** Ended sessions that are remembered so that nobody adopts them; beyond these the server says that they are unknown. */
const REMEMBERED_ENDS = 10_000

export function createDirect(parts: DirectParts): Direct {
  const streams = new Streams(parts.clock, parts.maxStreams)
  const session = new SessionClient({
    ...parts,
    streams,
    seal: new SessionSeal(parts.sealKey ?? randomBytes(SEALING_KEY_BYTES)),
    sharedSeal: parts.sealKey !== undefined,
    ended: new BoundedMap(REMEMBERED_ENDS),
  })
  const stateless = new StatelessClient({ ...parts, streams })

  return {
    serve(exchange, backend) {
      if (backend.server === null || exchange.path !== 'streamable') return false
      const { method, headers } = exchange.request
      if (method === 'POST') {
        return isStateless(headers, exchange.body)
          ? stateless.post(exchange, backend)
          : session.post(exchange, backend)
      }
      if (method === 'GET') return session.get(exchange, backend)
      return method === 'DELETE' && session.delete(exchange, backend)
    },
    get streams() {
      return streams.size
    },
    close() {
      streams.close()
    },
  }
}
