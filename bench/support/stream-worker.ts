/** Holds many event streams open, each in a session of its own, and says when something arrived on all of them. */
import { connect, type Socket } from 'node:net'
import { AUTHORIZATION, OTHER_AUTHORIZATION } from './postern.ts'
import { SESSION } from './static-server.ts'

export type StreamOrder =
  | { readonly kind: 'open'; readonly port: number; readonly path: string; readonly streams: number }
  /** Opens one more, and reads nothing of it. */
  | { readonly kind: 'open-deaf'; readonly port: number; readonly path: string }
  /** Waits until every stream has had one more event. */
  | { readonly kind: 'await-event' }

/** Times are seconds of the system's monotonic clock, which all processes share. */
export type StreamReport =
  | { readonly kind: 'opened'; readonly streams: number }
  | { readonly kind: 'deaf-opened' }
  | { readonly kind: 'arrived'; readonly first: number; readonly median: number; readonly last: number }
  | { readonly kind: 'lost'; readonly streams: number }

const AT_ONCE = 64
const EVENT = '"method":"notifications/tools/list_changed"'

const seconds = (): number => Number(process.hrtime.bigint()) / 1e9
const say = (report: StreamReport): void => void process.send?.(report)

const arrivals = new Map<Socket, number>()
const open = new Set<Socket>()

process.on('message', (message) => {
  void obey(message as StreamOrder)
})

async function obey(order: StreamOrder): Promise<void> {
  switch (order.kind) {
    case 'open': {
      let left = order.streams
      const opener = async (): Promise<void> => {
        while (left > 0) {
          left -= 1
          await openStream(order.port, order.path, AUTHORIZATION)
        }
      }
      await Promise.all(Array.from({ length: AT_ONCE }, opener))
      say({ kind: 'opened', streams: open.size })
      return
    }
    case 'open-deaf': {
      const socket = await openStream(order.port, order.path, OTHER_AUTHORIZATION)
      open.delete(socket)
      socket.removeAllListeners('data').removeAllListeners('close')
      socket.pause()
      say({ kind: 'deaf-opened' })
      return
    }
    case 'await-event': {
      arrivals.clear()
    }
  }
}

function arrived(socket: Socket): void {
  if (!open.has(socket) || arrivals.has(socket)) return
  arrivals.set(socket, seconds())
  if (arrivals.size < open.size) return
  const times = [...arrivals.values()].toSorted((a, b) => a - b)
  const at = (share: number): number => times[Math.floor((times.length - 1) * share)] ?? Number.NaN
  say({ kind: 'arrived', first: at(0), median: at(0.5), last: at(1) })
}

/** A session and its stream on one connection, so that a stream costs the gateway one socket. */
async function openStream(
  port: number,
  path: string,
  authorization: Readonly<Record<string, string>>,
): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  let received = ''
  let heard: (() => void) | undefined
  socket.on('data', (chunk) => {
    const text = chunk.toString('latin1')
    if (open.has(socket)) {
      if (text.includes(EVENT)) arrived(socket)
      return
    }
    received += text
    heard?.()
  })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    if (open.delete(socket)) say({ kind: 'lost', streams: open.size })
  })
  const until = async (mark: RegExp): Promise<string> => {
    while (!mark.test(received)) {
      await new Promise<void>((resolve) => {
        heard = resolve
      })
    }
    const text = received
    received = ''
    return text
  }
  const head = (method: string, more: Readonly<Record<string, string>>): string =>
    [
      `${method} ${path} HTTP/1.1`,
      `host: 127.0.0.1:${port}`,
      'accept: application/json, text/event-stream',
      ...Object.entries({ ...authorization, ...more }).map(([name, value]) => `${name}: ${value}`),
      '\r\n',
    ].join('\r\n')
  const post = (body: unknown, more: Readonly<Record<string, string>> = {}): void => {
    const text = JSON.stringify(body)
    const type = { 'content-type': 'application/json', 'content-length': String(text.length) }
    socket.write(head('POST', { ...type, ...more }) + text)
  }
  const params = {
    protocolVersion: SESSION,
    capabilities: {},
    clientInfo: { name: 'bench', version: '1.0.0' },
  }
  post({ jsonrpc: '2.0', id: 0, method: 'initialize', params })
  const answer = await until(/"result"[^]*\}$/)
  const session = /\r\nmcp-session-id: *([^\r]+)/i.exec(answer)?.[1]
  if (session === undefined) throw new Error(`no session: ${answer.slice(0, 500)}`)
  const headers = { 'mcp-session-id': session, 'mcp-protocol-version': SESSION }
  post({ jsonrpc: '2.0', method: 'notifications/initialized' }, headers)
  await until(/^HTTP\/1\.1 202[^]*\r\n\r\n/)
  socket.write(head('GET', headers))
  const opened = await until(/\r\n\r\n/)
  if (!opened.startsWith('HTTP/1.1 200')) throw new Error(`no stream: ${opened.slice(0, 500)}`)
  open.add(socket)
  return socket
}
