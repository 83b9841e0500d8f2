import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { OpenExchanges } from '../../src/http/open-exchanges.ts'
import { createHttpServer, type HttpServer, type McpEndpoint } from '../../src/http/server.ts'
import { ok } from '../../src/lib/result.ts'
import { Lifelines } from '../../src/identity/lifelines.ts'
import { manualClock } from '../support/clock.ts'
import { callerOf, controlParts, levelCallers, mapAuthenticator, TOKENS } from '../support/http-parts.ts'

const MEGABYTE = 1024 * 1024
/** More than the kernel takes on both ends. */
const LARGE = Buffer.alloc(24 * MEGABYTE, 'x')

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

/** A client that reads nothing until it is told to. */
function silent(port: number, bytes: string): Socket & { received: string } {
  const socket = Object.assign(connect({ port, host: '127.0.0.1' }), { received: '' })
  socket.on('error', () => {})
  socket.pause()
  socket.write(bytes)
  closing.push(() => socket.destroy())
  return socket
}

describe('replies that nobody reads', () => {
  let arrived = 0
  async function start(open: OpenExchanges): Promise<number> {
    arrived = 0
    const server: Server = createServer((request, response) => {
      open.add(request, response)
      arrived += 1
      response.end(request.url === '/small' ? 'ok' : LARGE)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    closing.push(() => {
      server.closeAllConnections()
      server.close()
    })
    return (server.address() as AddressInfo).port
  }
  const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`

  it('hold a bounded amount of memory on many connections: the oldest go first', async () => {
    const open = new OpenExchanges()
    const port = await start(open)
    const closed: number[] = []
    const clients: Socket[] = []
    for (let at = 0; at < 6; at += 1) {
      const client = silent(port, get('/large'))
      client.once('close', () => closed.push(at))
      clients.push(client)
      await expect.poll(() => arrived).toBe(at + 1)
      open.cutBeyond(1_000 * MEGABYTE)
    }
    for (const client of clients) client.resume()
    for (const client of clients.slice(0, 4)) client.pause()
    open.cutBeyond(1_000 * MEGABYTE)
    expect(closed).toEqual([])
    expect(open.responses.length).toBeGreaterThanOrEqual(4)

    open.cutBeyond(60 * MEGABYTE)
    for (const client of clients) client.resume()
    await expect.poll(() => closed).toContain(0)
    expect(closed).not.toContain(5)
  })

  it('nor by many requests on one connection', async () => {
    const open = new OpenExchanges()
    const port = await start(open)
    let cut = false
    const hoarder = silent(port, get('/large').repeat(10))
    hoarder.once('close', () => (cut = true))
    await expect.poll(() => arrived).toBeGreaterThanOrEqual(2)
    const other = silent(port, get('/small'))
    other.on('data', (chunk: Buffer) => (other.received += chunk.toString()))
    other.resume()
    await expect.poll(() => other.received).toContain('ok')
    open.cutBeyond(20 * MEGABYTE)
    hoarder.resume()
    await expect.poll(() => cut).toBe(true)
    expect(other.destroyed).toBe(false)
  })

  it('do not cost a client that has read everything its connection', async () => {
    const open = new OpenExchanges()
    const port = await start(open)
    const reader = silent(port, get('/large'))
    let bytes = 0
    reader.on('data', (chunk: Buffer) => (bytes += chunk.length))
    reader.resume()
    await expect.poll(() => bytes).toBeGreaterThan(LARGE.length)
    open.cutBeyond(0)
    reader.write(get('/small'))
    await expect.poll(() => arrived).toBe(2)
    expect(reader.destroyed).toBe(false)
  })
})

describe('replies that were complete when their credential ended', () => {
  async function start(handle: McpEndpoint['handle']): Promise<{ port: number; lifelines: Lifelines }> {
    const clock = manualClock()
    const parts = controlParts(clock)
    const lifelines = new Lifelines()
    const server: HttpServer = createHttpServer({
      host: '127.0.0.1',
      port: 0,
      tls: null,
      baseUrl: null,
      allowedHosts: [],
      allowedOrigins: [],
      limits: { bodyBytes: 1_000_000, jsonDepth: 64, headerBytes: 16_384, requestTimeoutMs: 30_000 },
      authenticator: mapAuthenticator(levelCallers()),
      lifelines,
      audit: parts.audit,
      observe: parts.observe,
      mcp: { locate: () => ok(null), handle, close: () => undefined },
      control: parts.app,
      clock,
    })
    closing.push(() => server.close(0))
    return { port: (await server.listen()).port, lifelines }
  }
  const { id } = callerOf('read-only').credential
  const post = (body: string): string =>
    `POST /mcp HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${TOKENS['read-only']}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`

  it('are not sent behind the reply to an earlier request', async () => {
    let answered = 0
    let finishFirst: (() => void) | undefined
    const { port, lifelines } = await start(async ({ response, body }) => {
      if (body === 1) await new Promise<void>((resolve) => (finishFirst = resolve))
      response.end(JSON.stringify({ row: `secret ${String(body)}` }))
      answered += 1
    })
    const client = silent(port, post('1') + post('2') + post('3'))
    client.on('data', (chunk: Buffer) => (client.received += chunk.toString()))
    client.resume()
    await expect.poll(() => answered).toBe(2)
    const closed = new Promise((resolve) => client.once('close', resolve))
    lifelines.end(id, 'revoked')
    finishFirst?.()
    await closed
    expect(client.received).not.toContain('secret')
  })

  it('are cut short for a client that reads slowly', async () => {
    let answered = 0
    const { port, lifelines } = await start(async ({ response }) => {
      response.end(LARGE)
      answered += 1
      await Promise.resolve()
    })
    const client = silent(port, post('1'))
    await expect.poll(() => answered).toBe(1)
    lifelines.end(id, 'revoked')
    let bytes = 0
    client.on('data', (chunk: Buffer) => (bytes += chunk.length))
    const closed = new Promise((resolve) => client.once('close', resolve))
    client.resume()
    await closed
    expect(bytes).toBeLessThan(LARGE.length)
  })

  it('leave the connection alone once they were sent', async () => {
    let answered = 0
    const { port, lifelines } = await start(async ({ response, body }) => {
      response.end(`answer ${String(body)}`)
      answered += 1
      await Promise.resolve()
    })
    const client = silent(port, post('1'))
    client.on('data', (chunk: Buffer) => (client.received += chunk.toString()))
    client.resume()
    await expect.poll(() => client.received).toContain('answer 1')
    lifelines.end(id, 'changed')
    client.write(post('2'))
    await expect.poll(() => client.received).toContain('answer 2')
    expect(answered).toBe(2)
  })
})
