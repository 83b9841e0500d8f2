import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Shim {
  readonly url: string
  close(): Promise<void>
}

/**
 * Forwards every request byte for byte to `target` and adds an `Authorization` header: for programs that
 * can be told a URL but no header. Nothing else is changed, `Host` least of all.
 */
export async function authorizingShim(target: string, authorization: string): Promise<Shim> {
  const { hostname, port } = new URL(target)
  const server = createServer((incoming, outgoing) => {
    const forwarded = request(
      {
        hostname,
        port,
        method: incoming.method,
        path: incoming.url,
        headers: [...incoming.rawHeaders, 'authorization', authorization],
      },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.rawHeaders)
        outgoing.flushHeaders()
        answer.pipe(outgoing)
      },
    )
    forwarded.on('error', () => outgoing.destroy())
    outgoing.on('close', () => forwarded.destroy())
    incoming.pipe(forwarded)
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve()
        })
        server.closeAllConnections()
      }),
  }
}
