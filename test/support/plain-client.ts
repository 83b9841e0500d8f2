import { isObject, type Params } from '../../src/lib/json-rpc.ts'

/** What became of one request, as a client sees it. */
export interface Outcome {
  /** HTTP status; 0 when the connection broke. */
  readonly status: number
  /** `ok`, the code of Postern's error, `rpc:NUMBER` for another JSON-RPC error, or what broke. */
  readonly code: string
  /** The sentence of the error, or the text of the first content. */
  readonly text: string
  readonly result?: Params
  readonly retryAfter: string | null
  readonly ms: number
  readonly bytes: number
  /** Messages that came before the answer. */
  readonly before: readonly Params[]
  /** Everything that came; of more than a million characters the beginning and the end. */
  readonly raw: string
}

export interface RequestOptions {
  readonly signal?: AbortSignal
  /** Members of `params` beside `name` and `arguments`. */
  readonly params?: Params
}

/** A client that shows the HTTP of its requests, which the official ones hide. */
export interface PlainClient {
  /** Id of the session; empty where there is none. */
  readonly session: string
  readonly headers: Readonly<Record<string, string>>
  request(method: string, params?: Params, options?: RequestOptions): Promise<Outcome>
  call(tool: string, args?: Params, options?: RequestOptions): Promise<Outcome>
}

export const CLIENT_INFO = { name: 'plain', version: '1' }

/** Kept of an answer, so that a client can read what is larger than it may keep. */
const KEPT_CHARACTERS = 500_000

/** Generous: what a test expects comes sooner, or is missing. */
const DEADLINE_MS = 60_000

/** POSTs one JSON-RPC message and reads the answer, as JSON or as an event stream. */
export async function post(
  url: string,
  headers: Readonly<Record<string, string>>,
  message: Params,
  signal?: AbortSignal,
): Promise<Outcome & { readonly headers: Headers }> {
  const startedAt = performance.now()
  const deadline = AbortSignal.timeout(DEADLINE_MS)
  let status = 0
  let replyHeaders = new Headers()
  let raw = ''
  let bytes = 0
  let broken: string | undefined
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(message),
      signal: signal ? AbortSignal.any([signal, deadline]) : deadline,
    })
    status = response.status
    replyHeaders = response.headers
    const decoder = new TextDecoder()
    if (response.body)
      for await (const chunk of response.body) {
        bytes += chunk.length
        raw += decoder.decode(chunk, { stream: true })
        // The beginning and the end of what is longer.
        if (raw.length > 2 * KEPT_CHARACTERS)
          raw = raw.slice(0, KEPT_CHARACTERS) + '\n' + raw.slice(-KEPT_CHARACTERS)
      }
  } catch (error) {
    broken = error instanceof Error ? error.name : 'broken'
  }
  const isStream = replyHeaders.get('content-type')?.startsWith('text/event-stream') === true
  const messages = isStream ? messagesOf(raw) : [parse(raw)].filter((one) => one !== undefined)
  const answer = messages.find((one) => one.id === message.id && !('method' in one))
  return {
    status,
    headers: replyHeaders,
    ...judge(answer ?? (isStream ? undefined : messages[0]), broken),
    retryAfter: replyHeaders.get('retry-after'),
    ms: performance.now() - startedAt,
    bytes,
    before: messages.filter((one) => one !== answer),
    raw,
  }
}

/** The data of the events, parsed. */
export const messagesOf = (text: string): readonly Params[] =>
  text
    .split(/\r?\n/)
    .filter((line) => line.startsWith('data:'))
    .map((line) => parse(line.slice(5)))
    .filter((one) => one !== undefined)

/** What an answer says: a result, a result that is a refusal, a JSON-RPC error, or the error of a REST route. */
export function judge(
  answer: Params | undefined,
  broken?: string,
): Pick<Outcome, 'code' | 'text' | 'result'> {
  if (broken !== undefined || !answer) return { code: broken ?? 'no answer', text: '' }
  const { error, result } = answer
  if (isObject(error)) {
    const data = isObject(error.data) ? error.data : {}
    return {
      code: typeof data.code === 'string' ? data.code : `rpc:${String(error.code)}`,
      text: String(error.message),
    }
  }
  if (isObject(result)) {
    const meta = isObject(result._meta) ? result._meta : {}
    const refusal = meta['postern/refusal']
    return { code: isObject(refusal) ? String(refusal.code) : 'ok', text: firstText(result), result }
  }
  if (typeof answer.code === 'string') return { code: answer.code, text: String(answer.message) }
  return { code: 'ok', text: firstText(answer), result: answer }
}

function firstText({ content }: Params): string {
  const first: unknown = Array.isArray(content) ? content[0] : undefined
  return isObject(first) && typeof first.text === 'string' ? first.text : ''
}

function parse(text: string): Params | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

const withCall = (
  headers: PlainClient['headers'],
  session: string,
  request: PlainClient['request'],
): PlainClient => ({
  session,
  headers,
  request,
  call: (name, args = {}, options = {}) =>
    request('tools/call', { name, arguments: args, ...options.params }, options),
})

let lastId = 0

/** A session of 2025-11-25, opened with one try. */
export async function plainSession(
  url: string,
  token: string,
  capabilities: Params = {},
): Promise<PlainClient> {
  const base = {
    authorization: `Bearer ${token}`,
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': '2025-11-25',
  }
  const opened = await post(url, base, {
    jsonrpc: '2.0',
    id: 0,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities, clientInfo: CLIENT_INFO },
  })
  if (opened.code !== 'ok') throw new Error(`no session (${opened.status}): ${opened.code} ${opened.text}`)
  const session = opened.headers.get('mcp-session-id') ?? ''
  const headers = { ...base, 'mcp-session-id': session }
  await post(url, headers, { jsonrpc: '2.0', method: 'notifications/initialized' })
  return withCall(headers, session, (method, params = {}, { signal } = {}) =>
    post(url, headers, { jsonrpc: '2.0', id: (lastId += 1), method, params }, signal),
  )
}

/** Single requests of 2026-07-28. */
export function plainStateless(url: string, token: string, capabilities: Params = {}): PlainClient {
  const base = {
    authorization: `Bearer ${token}`,
    accept: 'application/json, text/event-stream',
    'mcp-protocol-version': '2026-07-28',
  }
  return withCall(base, '', (method, params = {}, { signal } = {}) => {
    const name = method === 'tools/call' ? { 'mcp-name': String(params.name) } : {}
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': CLIENT_INFO,
      'io.modelcontextprotocol/clientCapabilities': capabilities,
    }
    return post(
      url,
      { ...base, 'mcp-method': method, ...name },
      { jsonrpc: '2.0', id: (lastId += 1), method, params: { ...params, _meta } },
      signal,
    )
  })
}

/** A stream that stays open, and what came on it. */
export interface OpenStream {
  readonly status: number
  text(): string
  messages(): readonly Params[]
  /** When it ended, by `performance.now()`. */
  readonly ended: Promise<number>
  isOpen(): boolean
  close(): void
}

export async function openStream(
  url: string,
  headers: Readonly<Record<string, string>>,
  body?: Params,
): Promise<OpenStream> {
  const controller = new AbortController()
  const response = await fetch(url, {
    method: body ? 'POST' : 'GET',
    headers: {
      accept: 'text/event-stream',
      ...(body ? { 'content-type': 'application/json' } : {}),
      ...headers,
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
    signal: controller.signal,
  })
  let text = ''
  let open = true
  const ended = (async () => {
    const decoder = new TextDecoder()
    try {
      if (response.body)
        for await (const chunk of response.body) text += decoder.decode(chunk, { stream: true })
    } catch {
      // Cut off: the end all the same.
    }
    open = false
    return performance.now()
  })()
  return {
    status: response.status,
    text: () => text,
    messages: () => messagesOf(text),
    ended,
    isOpen: () => open,
    close() {
      controller.abort()
    },
  }
}

/** A client of 2024-11-05: answers come on the stream. */
export interface EventClient extends PlainClient {
  readonly stream: OpenStream
}

export async function plainEvents(
  url: string,
  token: string,
  capabilities: Params = {},
): Promise<EventClient> {
  const authorization = `Bearer ${token}`
  const stream = await openStream(url, { authorization })
  if (stream.status !== 200) throw new Error(`no stream (${stream.status})`)
  const until = async <T>(read: () => T | undefined, signal?: AbortSignal): Promise<T | undefined> => {
    const late = performance.now() + DEADLINE_MS
    for (;;) {
      const value = read()
      if (value !== undefined) return value
      if (!stream.isOpen() || signal?.aborted === true || performance.now() > late) return undefined
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
  const path = await until(() => /^data: ?(\/\S+|https?:\S+)$/m.exec(stream.text())?.[1])
  if (path === undefined) throw new Error('the stream does not say where to post')
  const address = new URL(path, url).href
  const headers = { authorization }
  const request: PlainClient['request'] = async (method, params = {}, { signal } = {}) => {
    const id = (lastId += 1)
    const startedAt = performance.now()
    const posted = await post(address, headers, { jsonrpc: '2.0', id, method, params }, signal)
    const done = (): number => performance.now() - startedAt
    if (posted.status !== 202) return posted
    const answer = await until(
      () => stream.messages().find((one) => one.id === id && !('method' in one)),
      signal,
    )
    return { ...posted, ...judge(answer), ms: done(), raw: JSON.stringify(answer) ?? '' }
  }
  const initialized = await request('initialize', {
    protocolVersion: '2024-11-05',
    capabilities,
    clientInfo: CLIENT_INFO,
  })
  if (initialized.code !== 'ok') throw new Error(`no session: ${initialized.code} ${initialized.text}`)
  await post(address, headers, { jsonrpc: '2.0', method: 'notifications/initialized' })
  return { ...withCall(headers, '', request), stream }
}

/** A tool over REST. */
export async function restCall(
  url: string,
  token: string,
  tool: string,
  args: Params = {},
): Promise<Outcome> {
  const { headers: _, ...outcome } = await post(
    `${url}/mcp/tools/${tool}`,
    { authorization: `Bearer ${token}` },
    args,
  )
  return outcome
}
