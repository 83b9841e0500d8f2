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
  /** When something that still waits was first seen to wait, as a number that rises; 0 while nothing does. */
  waitingSince: number
}

/** How many looks without progress make a client one that never reads. */
const LOOKS = 2

/** Which replies are open on which connection: for draining, for garbled input, and for clients that never read. */
export class OpenExchanges {
  readonly #connections = new Map<Duplex, OpenConnection>()
  readonly #whenChanged = new Set<() => void>()
  #looks = 0

  add(request: IncomingMessage, response: ServerResponse): void {
    const { responses } = this.#connections.get(request.socket) ?? this.#connected(request.socket)
    responses.push(response)
    response.on('close', () => {
      responses.splice(responses.indexOf(response), 1)
      for (const notify of this.#whenChanged) notify()
    })
  }

  /** Apart from `add`, because a listener keeps what is in sight of it: the first reply, for as long as the connection. */
  #connected(socket: Socket): OpenConnection {
    const connection = { responses: [], flushed: -1, stalledLooks: 0, waitingSince: 0 }
    this.#connections.set(socket, connection)
    socket.once('close', () => this.#connections.delete(socket))
    return connection
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
   * Bounds what all clients together leave unread: one credential can ask for large replies on ever new
   * connections, or many on one, faster than `cutStalled` gives up on them. Whoever has left something
   * unread for longest goes first; a client that reads is done in milliseconds.
   */
  cutBeyond(mostBytes: number): void {
    this.#looks += 1
    let total = 0
    const waiting: { socket: Duplex; bytes: number; since: number }[] = []
    for (const [socket, connection] of this.#connections) {
      const bytes = unreadBytes(socket, connection.responses)
      if (bytes === 0) connection.waitingSince = 0
      else {
        connection.waitingSince ||= this.#looks
        waiting.push({ socket, bytes, since: connection.waitingSince })
        total += bytes
      }
    }
    if (total <= mostBytes) return
    for (const { socket, bytes } of waiting.toSorted((a, b) => a.since - b.since || b.bytes - a.bytes)) {
      socket.destroy()
      total -= bytes
      if (total <= mostBytes) return
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

/** What waits on the connection itself, and in replies that wait behind another one. */
function unreadBytes(socket: Duplex, responses: readonly ServerResponse[]): number {
  let bytes = socket.writableLength
  for (const response of responses) if (response.socket === null) bytes += response.writableLength
  return bytes
}
