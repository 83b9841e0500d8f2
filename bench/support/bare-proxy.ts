/**
 * The least that a gateway on Node can be: `node:http` in front, undici's `dispatch` behind, a bearer check, bytes
 * copied unread. What Postern adds to it is the price of everything it does. Ports and token on the command line.
 */
import { createServer } from 'node:http'
import { Agent } from 'undici'

const [port, upstreamPort, token] = process.argv.slice(2)
const origin = `http://127.0.0.1:${upstreamPort}`
const agent = new Agent({ connections: 64, pipelining: 1, keepAliveTimeout: 600_000 })
const expected = `Bearer ${token}`

const server = createServer({ keepAliveTimeout: 600_000 }, (request, response) => {
  if (request.headers.authorization !== expected) {
    response.writeHead(401).end()
    return
  }
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const headers: Record<string, string> = {}
    for (const [name, value] of Object.entries(request.headers)) {
      if (name === 'authorization' || name === 'host' || name === 'connection' || name === 'content-length')
        continue
      headers[name] = String(value)
    }
    const body = chunks.length === 0 ? null : Buffer.concat(chunks)
    agent.dispatch(
      { origin, path: request.url ?? '/', method: request.method as 'POST', headers, body },
      {
        onRequestStart() {},
        onResponseStart(_, status, answered) {
          response.writeHead(status, answered)
        },
        onResponseData(controller, chunk) {
          if (response.write(chunk)) return
          controller.pause()
          response.once('drain', () => {
            controller.resume()
          })
        },
        onResponseEnd() {
          response.end()
        },
        onResponseError() {
          response.destroy()
        },
      },
    )
  })
})

server.listen(Number(port), '127.0.0.1')
