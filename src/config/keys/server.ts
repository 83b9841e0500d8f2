import { isLoopbackHost } from '../../lib/address.ts'
import { address, path, strings, text, webUrl } from '../leaves.ts'
import type { ServerSettings } from '../settings.ts'
import { mapped, optional, section } from '../spec.ts'

const HOST = /^(?:\[[0-9a-f:.]+\]|[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?)(?::\d{1,5})?$/i

function wrongHost(word: string): string | undefined {
  if (word.includes('*')) return 'holds a wildcard: name each host, or a forged Host header gets through'
  return HOST.test(word)
    ? undefined
    : 'is not a host, such as gateway.example.com or gateway.example.com:8443'
}

function wrongOrigin(word: string): string | undefined {
  if (word.includes('*'))
    return 'holds a wildcard: name each origin, or any page in a browser may call Postern'
  const url = URL.canParse(word) ? new URL(word) : undefined
  return url && url.origin !== 'null' && url.origin === word.toLowerCase()
    ? undefined
    : 'is not an origin: use scheme, host and port only, such as https://app.example.com'
}

const fields = section('Where and how Postern listens.', {
  name: text('What this gateway calls itself to clients.', { standard: 'postern' }),
  addr: address('Address to listen on. `:8080` binds every interface, port 0 takes a free one.', {
    standard: '127.0.0.1:8080',
  }),
  baseUrl: optional(
    webUrl('Public URL, as clients reach it; what challenges and metadata documents name.', {
      example: 'https://gateway.example.com',
    }),
    'the address it listens on',
  ),
  tls: optional(
    section('Certificate for serving HTTPS; without it Postern serves HTTP.', {
      cert: path('PEM file with the certificate, followed by the chain.', {
        example: './cert.pem',
      }),
      key: path('PEM file with the private key.', { example: './key.pem' }),
    }),
  ),
  allowedHosts: strings(
    'Further `Host` headers to accept, beside loopback names, the listening address and the host of `baseUrl` (against DNS rebinding).',
    { standard: [], check: wrongHost },
  ),
  allowedOrigins: strings('Further web origins whose pages may call Postern, beside that of `baseUrl`.', {
    standard: [],
    check: wrongOrigin,
  }),
})

export const server = mapped(fields, (value, place, context): ServerSettings => {
  const { name, addr, baseUrl, tls, allowedHosts, allowedOrigins } = value
  if (!isLoopbackHost(addr.host) && tls === null && baseUrl?.startsWith('https:') !== true) {
    const at = context.places.get('server.addr') ?? place
    context.report.warning(
      'config_insecure',
      at,
      'is reached over the network without TLS, so tokens can be read on the way: set server.tls, or server.baseUrl to the https URL of a proxy in front',
    )
  }
  return {
    name,
    host: addr.host,
    port: addr.port,
    baseUrl,
    tls: tls && { certFile: tls.cert, keyFile: tls.key },
    allowedHosts,
    allowedOrigins: allowedOrigins.map((origin) => origin.toLowerCase()),
  }
})
