import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

interface OpenConnection {
  /** Usually one; more when a client sends requests without waiting for replies. */
  readonly responses: ServerResponse[]
  /** Bytes that had left for the kernel when last looked at. */
  flushed: number
  /** Looks at which nothing had left although something was waiting. */
  stalledLooks: number
}

/** How many looks without progress make a client one that never reads. */
const LOOKS = 2

/** Which replies are open on which connection: for draining, for garbled input, and for clients that never read. */
export class OpenExchanges {
  readonly #connections = new Map<Duplex, OpenConnection>()
  readonly #whenChanged = new Set<() => void>()

  add(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    let connection = this.#connections.get(socket)
    if (!connection) {
      connection = { responses: [], flushed: -1, stalledLooks: 0 }
      this.#connections.set(socket, connection)
      socket.once('close', () => this.#connections.delete(socket))
    }
    const { responses } = connection
    responses.push(response)
    response.once('close', () => {
      responses.splice(responses.indexOf(response), 1)
      for (const notify of this.#whenChanged) notify()
    })
  }

  /**
   * True when writing to the connection would break into a reply, or be taken for the reply to a request
   * that arrived whole: what could not be read is then not that request's.
   */
  replying(socket: Duplex): boolean {
    const responses = this.#connections.get(socket)?.responses
    return responses !== undefined && responses.some((one) => one.headersSent || one.req.complete)
  }

  get responses(): readonly ServerResponse[] {
    return [...this.#connections.values()].flatMap(({ responses }) => responses)
  }

  /** Resolves when no reply that `counts` is open any more. */
  async settled(counts: (response: ServerResponse) => boolean): Promise<void> {
    while (this.responses.some(counts)) {
      await new Promise<void>((resolve) => {
        const notify = (): void => {
          this.#whenChanged.delete(notify)
          resolve()
        }
        this.#whenChanged.add(notify)
      })
    }
  }

  /**
   * Cuts off clients that do not read what waits for them: what is buffered for them is memory they hold
   * without paying for it. Called at even intervals; two looks without one byte of progress are enough.
   */
  cutStalled(): void {
    for (const [socket, connection] of this.#connections) {
      const { bytesWritten, writableLength } = socket as Socket
      const flushed = bytesWritten - writableLength
      const stalled = writableLength > 0 && flushed === connection.flushed
      connection.stalledLooks = stalled ? connection.stalledLooks + 1 : 0
      connection.flushed = flushed
      if (connection.stalledLooks >= LOOKS) socket.destroy()
    }
  }
}
