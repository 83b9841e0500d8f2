/**
 * The static server over Streamable HTTP: `/session` speaks 2025-11-25, `/stateless` 2026-07-28, and `/flood` is
 * `/session` with streams on which something is said as fast as it is taken. Port on the command line. On plain sockets, because it shares its core with the load: behind `node:http` it, and not the fastest gateway,
 * would be what is measured.
 */
import { randomUUID } from 'node:crypto'
import { createServer, type Socket } from 'node:net'
import { answerTo } from './static-server.ts'

const HEAD_END = Buffer.from('\r\n\r\n')
const MEASURED = Buffer.from('"method":"tools/call"')
const FIRST_ID = Buffer.from('"id":1,')
const EVENT_STREAM =
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n'

const EVENT = `data: {"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"${'x'.repeat(900)}"}}\n\n`
const LOUD = Buffer.from(`${EVENT.length.toString(16)}\r\n${EVENT}\r\n`)

/** The measured call always has the same id, so its answer is made once. */
const CALL_ANSWER = {
  session: reply(200, answerTo({ id: 1, method: 'tools/call' }, false)),
  stateless: reply(200, answerTo({ id: 1, method: 'tools/call' }, true)),
}

createServer({ noDelay: true }, (socket) => {
  let waiting: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk) => {
    waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk])
    for (;;) {
      const headEnd = waiting.indexOf(HEAD_END)
      if (headEnd === -1) return
      const head = waiting.toString('latin1', 0, headEnd)
      const start = headEnd + HEAD_END.length
      const end = start + Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0)
      if (waiting.length < end) return
      answer(socket, head, waiting.subarray(start, end))
      waiting = waiting.subarray(end)
    }
  })
  socket.on('error', () => socket.destroy())
}).listen(Number(process.argv[2]), '127.0.0.1')

function answer(socket: Socket, head: string, body: Buffer): void {
  const stateless = head.includes(' /stateless ')
  if (!head.startsWith('POST ')) {
    socket.write(head.startsWith('GET ') && !stateless ? EVENT_STREAM : reply(405, undefined))
    if (head.startsWith('GET /flood ')) flood(socket)
    return
  }
  if (body.includes(MEASURED) && body.includes(FIRST_ID)) {
    socket.write(stateless ? CALL_ANSWER.stateless : CALL_ANSWER.session)
    return
  }
  const message = JSON.parse(body.toString()) as { readonly id?: unknown; readonly method?: unknown }
  const answered = answerTo(message, stateless)
  const opens = message.method === 'initialize' && !stateless
  socket.write(
    answered === undefined
      ? reply(202, undefined)
      : reply(200, answered, opens ? `mcp-session-id: ${randomUUID()}\r\n` : ''),
  )
}

function flood(socket: Socket): void {
  while (!socket.destroyed && socket.write(LOUD));
  if (!socket.destroyed) {
    socket.once('drain', () => {
      flood(socket)
    })
  }
}

function reply(status: number, body: unknown, more = ''): Buffer {
  const text = body === undefined ? '' : JSON.stringify(body)
  const type = body === undefined ? '' : 'content-type: application/json\r\n'
  return Buffer.from(
    `HTTP/1.1 ${status} -\r\n${type}${more}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
  )
}
