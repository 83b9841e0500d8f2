import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** A request as a raw upstream received it. */
export interface Received {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
  /** Of the client's end of the connection. */
  readonly port: number | undefined
}

export interface RawUpstream {
  readonly origin: string
  /** Every request whose body has come, in order. */
  readonly received: readonly Received[]
  /** Connections that are open now. */
  readonly connections: number
  /** Breaks every connection, and goes on serving. */
  drop(): Promise<void>
  close(): Promise<void>
}

/** A server on 127.0.0.1 that answers exactly as a test wants it to, well or badly. */
export async function rawUpstream(
  answer: (request: Received, response: ServerResponse, incoming: IncomingMessage) => void | Promise<void>,
): Promise<RawUpstream> {
  const received: Received[] = []
  const sockets = new Set<Socket>()
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const one: Received = {
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks).toString('utf8'),
        port: request.socket.remotePort,
      }
      received.push(one)
      void answer(one, response, request)
    })
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    get connections() {
      return sockets.size
    },
    async drop() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => setImmediate(resolve))
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => server.close(() => resolve()))
    },
  }
}
