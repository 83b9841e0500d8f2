import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** What a request to the model looked like. */
export interface ModelRequest {
  readonly authorization: string | undefined
  readonly model: string
  readonly system: string
  readonly user: string
}

/** How the server answers one request: the model's words, or anything else over the socket. */
export type ModelAnswer = string | ((response: ServerResponse, request: ModelRequest) => void)

export interface ModelServer {
  /** Up to and including `/v1`. */
  readonly baseUrl: string
  readonly requests: readonly ModelRequest[]
  /** The answers to the next requests, in order; the last one stays. */
  answers(...list: ModelAnswer[]): void
  close(): Promise<void>
}

/** A server that speaks the OpenAI chat completions API, on a real socket of 127.0.0.1. */
export async function openModelServer(): Promise<ModelServer> {
  const requests: ModelRequest[] = []
  const sockets = new Set<Socket>()
  let queue: ModelAnswer[] = ['SELECT 1']
  const server = createServer((request, response) => {
    void readBody(request).then((body) => {
      if (request.method !== 'POST' || request.url !== '/v1/chat/completions') {
        response.writeHead(404).end()
        return
      }
      const seen = readRequest(body, request.headers.authorization)
      requests.push(seen)
      const answer = queue.length > 1 ? queue.shift() : queue[0]
      if (typeof answer === 'function') answer(response, seen)
      else sendCompletion(response, answer ?? '')
    })
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((done) => {
    server.listen(0, '127.0.0.1', done)
  })
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    answers(...list) {
      queue = list
      requests.length = 0
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((done) => {
        server.close(() => done())
      })
    },
  }
}

export function sendCompletion(response: ServerResponse, content: string): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(
    JSON.stringify({
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1_750_000_000,
      model: 'test-model',
      choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content } }],
      usage: { prompt_tokens: 10, completion_tokens: 10, total_tokens: 20 },
    }),
  )
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}

function readRequest(body: string, authorization: string | undefined): ModelRequest {
  const { model, messages } = JSON.parse(body) as {
    model: string
    messages: { role: string; content: string }[]
  }
  const said = (role: string): string => messages.find((message) => message.role === role)?.content ?? ''
  return { authorization, model, system: said('system'), user: said('user') }
}
