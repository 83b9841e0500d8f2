import { lookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { Agent } from 'undici'
import { Fault } from '../../lib/fault.ts'
import { bareHost, isReachable, wrongEndpoint } from './endpoint-rules.ts'
import type { OidcProvider } from './provider.ts'

/** What the OpenID Connect library wants of a `fetch`. */
export type ProviderFetch = (
  url: string,
  options: {
    readonly method: string
    readonly headers: Record<string, string>
    readonly body?: unknown
  },
) => Promise<Response>

/** The connections to one provider. */
export interface ProviderAgent {
  /** @param signal aborted when the time of the whole sign-in is over, with the fault that tells so */
  fetch(signal: AbortSignal): ProviderFetch
  close(): Promise<void>
}

/** Documents, keys and tokens are a few KB; those of a provider with many keys and groups some more. */
const REPLY_BYTES = 512 * 1_024
const HEADER_BYTES = 16_384
const CONNECTIONS = 16

/**
 * Requests to a provider: only to what its documents may name, never on to where a redirect leads, in bounded time and
 * of bounded size. Failures are faults whose message tells a stranger no more than that the provider does not work.
 */
export function openProviderAgent(provider: OidcProvider): ProviderAgent {
  const own = bareHost(new URL(provider.issuer))
  const agent = new Agent({
    connections: CONNECTIONS,
    pipelining: 1,
    connect: { timeout: provider.timeoutMs, lookup: guardedLookup(own) },
    headersTimeout: 0,
    bodyTimeout: 0,
    maxHeaderSize: HEADER_BYTES,
    allowH2: false,
  })
  return {
    fetch:
      (signal) =>
      async (url, { method, headers, body }) => {
        const wrong = wrongEndpoint(url, provider.issuer)
        if (wrong !== null) throw invalid(provider, `one of its addresses ${wrong}`)
        try {
          const response = await agent.request({
            origin: new URL(url).origin,
            path: url.slice(new URL(url).origin.length) || '/',
            method: method === 'POST' ? 'POST' : 'GET',
            headers: { ...headers, 'accept-encoding': 'identity' },
            body: body === undefined || body === null ? null : String(body as string | URLSearchParams),
            signal,
          })
          const { statusCode: status } = response
          // Who reads the body hears of its end there; of one that nobody reads it would be an uncaught error.
          response.body.on('error', () => undefined)
          if (status >= 300 && status < 400) {
            response.body.destroy()
            throw invalid(provider, 'it answered with a redirect, which is not followed')
          }
          const bytes = await readBounded(response.body, provider)
          return new Response(status === 204 ? null : bytes, {
            status,
            headers: plainHeaders(response.headers),
          })
        } catch (error) {
          if (signal.aborted) throw signal.reason
          throw error instanceof Fault ? error : unavailable(provider, codeOf(error))
        }
      },
    close: () => agent.destroy(),
  }
}

/** Looks again where a name leads: a public name can have the address of this machine (DNS rebinding). */
function guardedLookup(own: string): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      const reachable =
        hostname === own ? addresses : (addresses ?? []).filter(({ address }) => isReachable(address))
      const [first] = reachable ?? []
      if (error || !first) {
        callback(
          error ?? Object.assign(new Error('no address that may be used'), { code: 'EADDRNOTAVAIL' }),
          '',
          0,
        )
      } else if (options.all === true) callback(null, reachable)
      else callback(null, first.address, first.family)
    })
  }
}

async function readBounded(
  body: AsyncIterable<Buffer>,
  provider: OidcProvider,
): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    // Leaving the loop destroys the body, and with it the connection.
    if (length > REPLY_BYTES) throw invalid(provider, `it sent more than ${REPLY_BYTES} bytes`)
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks, length))
}

function plainHeaders(headers: Readonly<Record<string, string | string[] | undefined>>): Headers {
  const plain = new Headers()
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) plain.set(name, Array.isArray(value) ? value.join(', ') : value)
  }
  return plain
}

export const unavailable = (provider: OidcProvider, why: string): Fault =>
  new Fault(
    'provider_unavailable',
    `the provider "${provider.name}" cannot be reached at the moment: try again`,
    {
      cause: new Error(`provider "${provider.name}": ${why}`),
      retryAfterS: 10,
    },
  )

export const invalid = (provider: OidcProvider, why: string): Fault =>
  new Fault(
    'provider_invalid',
    `the provider "${provider.name}" answered with something that cannot be used`,
    {
      cause: new Error(`provider "${provider.name}": ${why}`),
    },
  )

function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  if ('code' in error && typeof error.code === 'string') return error.code
  return error.cause === undefined ? error.name : codeOf(error.cause)
}
