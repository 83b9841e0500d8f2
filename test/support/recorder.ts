import { createServer, type IncomingHttpHeaders, request as forward } from 'node:http'
import type { AddressInfo } from 'node:net'

/** One request as a server saw it. */
export interface Asked {
  readonly method: string
  readonly headers: IncomingHttpHeaders
  /** Its body, parsed where it is JSON; `undefined` while it is on its way. */
  message: unknown
}

/** Stands in front of a real server and remembers what that was asked, and with which headers. */
export interface Recorder {
  readonly url: string
  readonly asked: Asked[]
  close(): Promise<void>
}

/** @param target the whole URL that every request goes on to, but for the path of `message` URLs */
export async function startRecorder(target: string): Promise<Recorder> {
  const asked: Asked[] = []
  const { origin, pathname } = new URL(target)
  const server = createServer((request, response) => {
    const { host: _, ...headers } = request.headers
    const one: Asked = { method: request.method ?? '', headers: request.headers, message: undefined }
    asked.push(one)
    const onward = forward(`${origin}${request.url}`, { method: one.method, headers }, (reply) => {
      response.writeHead(reply.statusCode ?? 502, reply.headers)
      response.flushHeaders()
      reply.pipe(response)
    })
    onward.on('error', () => response.destroy())
    response.on('close', () => onward.destroy())
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      try {
        one.message = JSON.parse(Buffer.concat(chunks).toString())
      } catch {
        one.message = null
      }
    })
    request.pipe(onward)
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`,
    asked,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
