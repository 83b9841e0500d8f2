import { TLSSocket } from 'node:tls'
import { dress, type Exchange } from './exchange.ts'

/** A reply whose length is not known when it begins. */
export interface StreamedReply {
  /** Bytes that wait for the client. */
  readonly unread: number
  /**
   * @param done called when the bytes have left for the kernel, and may be written over
   * @returns false when the client is behind: `onDrain` tells when it has caught up
   */
  write(bytes: Buffer, done: () => void): boolean
  onDrain(listener: () => void): void
  end(): void
  /**
   * Ends the connection before the reply is complete. The client sees no last chunk (RFC 9112 §7.1) and, without
   * TLS, a reset, so that it cannot take what it has for the whole. What the kernel still holds is not sent.
   */
  abort(): void
}

/** Begins a reply of chunks. */
export function streamReply(
  exchange: Exchange,
  status: number,
  headers: Readonly<Record<string, string>>,
): StreamedReply {
  const { response } = exchange
  dress(exchange)
  response.writeHead(status, headers)
  return {
    get unread() {
      return response.writableLength
    },
    write(bytes, done) {
      // To a client that has gone: the call is being stopped, and nothing waits for it.
      if (response.destroyed) return true
      return response.write(bytes, (error) => {
        if (!error) done()
      })
    },
    onDrain(listener) {
      response.once('drain', listener)
    },
    end() {
      if (!response.destroyed) response.end()
    },
    abort() {
      const { socket } = response
      if (socket === null || socket.destroyed || socket instanceof TLSSocket) response.destroy()
      else socket.resetAndDestroy()
    },
  }
}
