import { Pool } from 'undici'
import type { Clock } from '../../lib/clock.ts'
import { Fault } from '../../lib/fault.ts'
import { isObject } from '../../lib/json-rpc.ts'
import { deadline } from '../deadline.ts'
import type { ClientCredentials } from '../options.ts'
import { Problem } from '../problem.ts'
import { judgeError, type Peer } from './judge-error.ts'
import { readBody } from './read-body.ts'
import { retryAfterOf } from './retry-after.ts'

/** Where the bearer token for a server comes from. */
export interface TokenSource {
  /** The token in force; `undefined` when one has to be fetched first. */
  current(): string | undefined
  /**
   * Fetches a token, once for all that ask meanwhile.
   * @throws Fault `upstream_unavailable`, `upstream_timeout`, `upstream_invalid`, `upstream_busy`
   */
  fetch(): Promise<string>
  /** The server answered 401 to this token: the next request fetches another. */
  refused(token: string): void
  close(): Promise<void>
}

export interface TokenSourceParts {
  /** The server's name in the configuration, for messages. */
  readonly server: string
  readonly clock: Clock
  /** For the whole exchange with the token endpoint. */
  readonly timeoutMs: number
}

const REPLY_BYTES = 65_536
const LONGEST_TOKEN = 8_192
/** A token is renewed that long before it ends, or after nine tenths of its life if that is later. */
const MARGIN_MS = 60_000
/** For a reply without `expires_in` (RFC 6749 §5.1 leaves it to the documentation of the server). */
const ASSUMED_LIFE_S = 300
const LONGEST_LIFE_S = 86_400
/** So long a failure is the answer to everybody: many callers must not become a flood at the token endpoint. */
const FAILURE_MS = 2_000

/** How the client shows its secret (RFC 6749 §2.3.1). */
type Method = 'basic' | 'post'

/** Tokens by OAuth 2.0 client credentials (RFC 6749 §4.4), for one resource where one is named (RFC 8707). */
export function openTokenSource(
  options: ClientCredentials,
  { server, clock, timeoutMs }: TokenSourceParts,
): TokenSource {
  const peer: Peer = `The token endpoint of MCP server "${server}"`
  const endpoint = new URL(options.tokenUrl)
  const pool = new Pool(endpoint.origin, { connections: 1, connectTimeout: timeoutMs, allowH2: false })
  let token: { readonly value: string; readonly renewAt: number } | undefined
  let failure: { readonly fault: Fault; readonly until: number } | undefined
  let running: Promise<string> | undefined
  let method: Method = 'basic'

  const ask = async (by: Method, signal: AbortSignal): Promise<Reply> => {
    const form = new URLSearchParams({ grant_type: 'client_credentials' })
    if (options.scopes.length > 0) form.set('scope', options.scopes.join(' '))
    if (options.resource !== null) form.set('resource', options.resource)
    if (by === 'post') {
      form.set('client_id', options.clientId)
      form.set('client_secret', options.clientSecret.reveal())
    }
    const response = await pool.request({
      method: 'POST',
      path: endpoint.pathname + endpoint.search,
      headers: {
        'user-agent': 'postern',
        accept: 'application/json',
        'content-type': 'application/x-www-form-urlencoded',
        ...(by === 'basic' ? { authorization: basic(options.clientId, options.clientSecret.reveal()) } : {}),
      },
      body: form.toString(),
      signal,
    })
    const text = (await readBody(response.body, REPLY_BYTES, peer)).toString('utf8')
    const retryAfter = response.headers['retry-after']
    return {
      status: response.statusCode,
      retryAfter: typeof retryAfter === 'string' ? retryAfter : undefined,
      body: parse(text),
    }
  }

  const fetchNow = async (): Promise<string> => {
    const time = deadline(
      clock,
      timeoutMs,
      () => new Fault('upstream_timeout', `${peer} did not answer in time.`),
    )
    try {
      let reply = await ask(method, time.signal)
      if (reply.status >= 400 && reply.status < 500 && reply.body?.['error'] === 'invalid_client') {
        // Some servers know only the other way to show the secret; the one that works is remembered.
        const other: Method = method === 'basic' ? 'post' : 'basic'
        const second = await ask(other, time.signal)
        if (second.status === 200) method = other
        reply = second.status === 200 ? second : reply
      }
      const granted = judgeReply(reply, clock.now(), peer)
      const lifeMs = Math.min(LONGEST_LIFE_S, granted.lifeS) * 1_000
      token = {
        value: granted.token,
        renewAt: clock.now() + Math.max(lifeMs - MARGIN_MS, lifeMs * 0.9),
      }
      failure = undefined
      return granted.token
    } catch (error) {
      const fault = judgeError(time.signal.aborted ? time.signal.reason : error, peer)
      failure = { fault, until: clock.now() + FAILURE_MS }
      throw fault
    } finally {
      time.done()
    }
  }

  const current = (): string | undefined =>
    token !== undefined && clock.now() < token.renewAt ? token.value : undefined

  return {
    current,
    async fetch() {
      const known = current()
      if (known !== undefined) return known
      if (failure && clock.now() < failure.until) throw failure.fault
      running ??= fetchNow().finally(() => {
        running = undefined
      })
      return await running
    },
    refused(value) {
      if (token?.value === value) token = undefined
    },
    async close() {
      await pool.destroy()
    },
  }
}

interface Reply {
  readonly status: number
  readonly retryAfter: string | undefined
  readonly body: Readonly<Record<string, unknown>> | undefined
}

/** Judges the reply of a token endpoint (RFC 6749 §5.1, §5.2). */
function judgeReply(
  reply: Reply,
  nowMs: number,
  peer: Peer,
): { readonly token: string; readonly lifeS: number } {
  const { status, body } = reply
  if (status === 429) {
    const retryAfterS = retryAfterOf(reply.retryAfter, nowMs)
    throw new Fault('upstream_busy', `${peer} asks for fewer requests. Try again later.`, {
      cause: new Problem(`${peer} answered 429.`),
      ...(retryAfterS === undefined ? {} : { retryAfterS }),
    })
  }
  if (status !== 200) {
    // Only the registered words are repeated: `error_description` may hold anything.
    const error =
      typeof body?.['error'] === 'string' && ERRORS.has(body['error']) ? ` (${body['error']})` : ''
    throw new Fault('upstream_unavailable', `${peer} gave no token.`, {
      cause: new Problem(
        `${peer} answered ${status}${error}. Check \`clientCredentials\` of this server: its id, secret, scopes and resource.`,
      ),
    })
  }
  const value = body?.['access_token']
  const type = body?.['token_type']
  if (typeof value !== 'string' || value.length > LONGEST_TOKEN || !/^[\x21-\x7E]+$/.test(value)) {
    throw invalid(peer, 'no usable access token')
  }
  if (typeof type !== 'string' || type.toLowerCase() !== 'bearer')
    throw invalid(peer, 'a token that is no bearer token')
  const expiresIn = Number(body?.['expires_in'] ?? ASSUMED_LIFE_S)
  return { token: value, lifeS: Number.isFinite(expiresIn) && expiresIn >= 0 ? expiresIn : ASSUMED_LIFE_S }
}

const ERRORS: ReadonlySet<string> = new Set([
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
  'invalid_target',
])

const invalid = (peer: Peer, what: string): Fault =>
  new Fault('upstream_invalid', `${peer} sent something that is no token.`, {
    cause: new Problem(`${peer} answered with ${what}.`),
  })

function parse(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isObject(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** Both halves are form-encoded before they are joined (RFC 6749 §2.3.1): either may hold a colon. */
const basic = (id: string, secret: string): string =>
  `Basic ${Buffer.from(`${formEncode(id)}:${formEncode(secret)}`).toString('base64')}`

const formEncode = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1)
