import { Pool } from 'undici'

/** The connections to one origin. */
export interface HttpAgent {
  /** For requests that are answered in a bounded time. */
  readonly calls: Pool
  /**
   * For streams that stay open: each holds a connection for as long as it lives, so they must not take those of
   * the requests.
   */
  readonly streams: Pool
  /** Ends every connection at once; requests that run fail. */
  close(): Promise<void>
}

export interface AgentLimits {
  readonly connectTimeoutMs: number
  /** Requests that run at once; what is more waits for a connection. */
  readonly calls: number
  /** Streams that are open at once. */
  readonly streams: number
}

/** Bytes of all response headers together. Nothing in MCP needs a tenth of it. */
const HEADER_BYTES = 16_384

/** A stream that is being replaced lives beside its successor for a moment. */
const SPARE_STREAMS = 2

/**
 * Connections to one origin: kept alive, bounded, HTTP/1.1. Redirects are never followed, because they would carry
 * the upstream's credentials elsewhere; certificates are verified against the trust store of Node.
 *
 * Time limits are not left to the connection: who sends a request aborts it when its time is over.
 */
export function openAgent(origin: string, limits: AgentLimits): HttpAgent {
  const open = (connections: number): Pool =>
    new Pool(origin, {
      connections,
      pipelining: 1,
      connectTimeout: limits.connectTimeoutMs,
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: HEADER_BYTES,
      // One connection for many streams would let one slow reader here hold up all the others.
      allowH2: false,
      useMilo: false,
    })
  const calls = open(Math.max(1, limits.calls))
  const streams = open(Math.max(1, limits.streams) + SPARE_STREAMS)
  return {
    calls,
    streams,
    async close() {
      await Promise.all([calls.destroy(), streams.destroy()])
    },
  }
}
