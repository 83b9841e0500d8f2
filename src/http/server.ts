import { readFileSync } from 'node:fs'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type ServerOptions as TlsServerOptions } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { AuditSink } from '../audit/entry.ts'
import type { Authenticator } from '../identity/authenticate.ts'
import type { Lifelines } from '../identity/lifelines.ts'
import type { Clock } from '../lib/clock.ts'
import { Deadlines } from '../lib/deadlines.ts'
import { Fault } from '../lib/fault.ts'
import type { McpEndpoint } from '../mcp/endpoint.ts'
import type { Observe } from '../observe/observation.ts'
import type { Tracing } from '../observe/tracing.ts'
import { answerClientError } from './client-error.ts'
import type { ControlPlane } from './control-context.ts'
import { answer, type FrontOptions } from './front.ts'
import { OpenExchanges } from './open-exchanges.ts'
import { recordAuthentications } from './record-authentication.ts'
import { resourceMetadataUrl } from './resource-metadata.ts'

export type { McpEndpoint, McpExchange } from '../mcp/endpoint.ts'
export type { ControlContext, ControlPlane } from './control-context.ts'

export interface HttpLimits {
  readonly bodyBytes: number
  readonly jsonDepth: number
  /** Of all headers of one request together. */
  readonly headerBytes: number
  /** Milliseconds a client has to send a whole request. */
  readonly requestTimeoutMs: number
}

export interface HttpServerOptions {
  /** An empty host listens on every interface. */
  readonly host: string
  /** 0 asks the system for a free port. */
  readonly port: number
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null
  /** Public URL without a trailing slash. `null`: the address that the server listens on. */
  readonly baseUrl: string | null
  /** `Host` values accepted besides loopback names, the listening address and the base URL's host. */
  readonly allowedHosts: readonly string[]
  /** `Origin` values accepted besides the base URL's; pages of these may also read the replies (CORS). */
  readonly allowedOrigins: readonly string[]
  readonly limits: HttpLimits
  readonly authenticator: Authenticator
  readonly lifelines: Pick<Lifelines, 'hold'>
  readonly audit: AuditSink
  readonly observe: Observe
  readonly clock: Clock
  /** Absent: traces of clients are passed on, and none are made. */
  readonly tracing?: Tracing
  readonly mcp: Pick<McpEndpoint, 'locate' | 'handle' | 'close'>
  readonly control: ControlPlane
}

export interface HttpServer {
  /** @throws Fault `address_in_use`, `address_unusable` */
  listen(): Promise<{ readonly url: string; readonly port: number }>
  /** Stops accepting, lets open requests finish for `drainMs`, ends streams, then closes what is left. */
  close(drainMs: number): Promise<void>
}

/** A connection on which nothing happens between two requests is closed after this. */
const KEEP_ALIVE_MS = 65_000

/** How often it is looked whether clients read; one that makes no progress goes between two and three of these. */
const LOOK_EVERY_MS = 10_000

/** Bytes that clients together may leave unread, and how often that is looked at. */
const MOST_UNREAD_BYTES = 256 * 1024 * 1024
const LOOK_AT_UNREAD_EVERY_MS = 250

/** How long streams that were told to end have for their last bytes. */
const STREAM_END_MS = 1_000

/**
 * The one server: a plain handler for the data plane in front, the control plane behind it.
 *
 * @throws Fault `config_invalid` when the certificate or its key cannot be used
 */
export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { clock, observe, limits } = options
  const open = new OpenExchanges()
  const authentications = recordAuthentications(options.audit, clock, observe)
  const server = makeServer(options)
  const sockets = new Set<Socket>()
  let url = ''
  let draining = false
  let cancelLook: (() => void) | undefined
  let cancelLookAtUnread: (() => void) | undefined

  const front: FrontOptions = {
    ...options,
    baseUrl: () => options.baseUrl ?? url,
    authentications,
    bodyDeadlines: new Deadlines(clock, limits.requestTimeoutMs),
    draining: () => draining,
  }

  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.on('request', (request, response) => {
    open.add(request, response)
    void answer(request, response, front)
  })
  // curl waits for this before it sends a long body: the answer is ready before the body is on its way.
  server.on('checkContinue', (request, response) => {
    open.add(request, response)
    void answer(request, response, front, true)
  })
  server.on('checkExpectation', (request, response) => {
    open.add(request, response)
    void answer(request, response, front)
  })
  server.on('clientError', (error, socket) => {
    answerClientError(error, socket, {
      headerBytes: limits.headerBytes,
      resourceMetadata: () => resourceMetadataUrl(front.baseUrl(), null),
      observe,
      replying: (one) => open.replying(one),
    })
  })

  const look = (): void => {
    open.cutStalled()
    cancelLook = clock.after(LOOK_EVERY_MS, look)
  }
  const lookAtUnread = (): void => {
    open.cutBeyond(MOST_UNREAD_BYTES)
    cancelLookAtUnread = clock.after(LOOK_AT_UNREAD_EVERY_MS, lookAtUnread)
  }

  return {
    async listen() {
      await listening(server, options)
      // A connection that could not be accepted, such as for want of file descriptors, ends nothing else.
      server.on('error', (error) => {
        observe({ kind: 'fault', where: 'http.accept', error })
      })
      const { port, address, family } = server.address() as AddressInfo
      url = `${options.tls ? 'https' : 'http'}://${urlHost(options.host, address, family)}:${port}`
      cancelLook = clock.after(LOOK_EVERY_MS, look)
      cancelLookAtUnread = clock.after(LOOK_AT_UNREAD_EVERY_MS, lookAtUnread)
      return { url, port }
    },

    async close(drainMs) {
      draining = true
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve())
      })
      for (const response of open.responses) {
        if (!response.headersSent) response.setHeader('connection', 'close')
      }
      // A stream has no end of its own to wait for; `subscriptions/listen` opens one by POST.
      const isStream = (response: ServerResponse): boolean =>
        response.req.method === 'GET' ||
        String(response.getHeader('content-type')).startsWith('text/event-stream')
      await within(
        drainMs,
        clock,
        open.settled((response) => !isStream(response) || !response.headersSent),
      )
      options.mcp.close()
      await within(
        Math.min(drainMs, STREAM_END_MS),
        clock,
        open.settled(() => true),
      )
      server.closeAllConnections()
      // What never finished its TLS handshake is no HTTP connection yet: `closed` would wait for its time-out.
      for (const socket of sockets) socket.destroy()
      await closed
      cancelLook?.()
      cancelLookAtUnread?.()
      authentications.close()
    },
  }
}

function makeServer({ tls, limits }: HttpServerOptions): Server {
  const requestTimeout = limits.requestTimeoutMs * 2
  const headersTimeout = Math.min(limits.requestTimeoutMs, 15_000)
  const settings = {
    maxHeaderSize: limits.headerBytes,
    // The body has its own, earlier deadline with a better message; this one is for what comes before it.
    requestTimeout,
    headersTimeout,
    connectionsCheckingInterval: Math.max(50, Math.min(1_000, limits.requestTimeoutMs / 4)),
    keepAliveTimeout: KEEP_ALIVE_MS,
    // Answered in the front instead, in JSON.
    requireHostHeader: false,
    // RFC 9112 §6.3: never a second opinion on where a message ends.
    insecureHTTPParser: false,
  }
  const server = tls
    ? tlsServer({ ...settings, handshakeTimeout: headersTimeout }, tls)
    : createServer(settings)
  // Node drops headers beyond a count without a word; the limit in bytes bounds them already.
  server.maxHeadersCount = 0
  return server
}

function tlsServer(settings: TlsServerOptions, tls: KeyPairFiles): Server {
  const pair = readKeyPair(tls)
  try {
    return createTlsServer({ ...settings, ...pair, minVersion: 'TLSv1.2' })
  } catch (cause) {
    throw new Fault(
      'config_invalid',
      `the TLS certificate ${tls.certFile} and key ${tls.keyFile} cannot be used together: both must be PEM files of one pair`,
      { cause },
    )
  }
}

interface KeyPairFiles {
  readonly certFile: string
  readonly keyFile: string
}

function readKeyPair({ certFile, keyFile }: KeyPairFiles): {
  cert: Buffer
  key: Buffer
} {
  const read = (file: string, what: string): Buffer => {
    try {
      return readFileSync(file)
    } catch (cause) {
      throw new Fault('config_invalid', `the TLS ${what} ${file} cannot be read`, { cause })
    }
  }
  return { cert: read(certFile, 'certificate'), key: read(keyFile, 'key') }
}

function listening(server: Server, { host, port }: HttpServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => {
      reject(cannotListen(error, host, port))
    }
    server.once('error', onError)
    server.listen(host === '' ? { port } : { host, port }, () => {
      server.off('error', onError)
      resolve()
    })
  })
}

function cannotListen(cause: NodeJS.ErrnoException, host: string, port: number): Fault {
  const where = `${host === '' ? 'every interface' : host}, port ${port}`
  switch (cause.code ?? '') {
    case 'EADDRINUSE':
      return new Fault(
        'address_in_use',
        `${where} is in use by another program: stop that one, or choose another port with --addr or server.addr`,
        { cause },
      )
    case 'EACCES':
      return new Fault(
        'address_unusable',
        `this user may not listen on ${where}: ports below 1024 need privileges; choose a higher one with --addr or server.addr`,
        { cause },
      )
    default:
      return new Fault(
        'address_unusable',
        `cannot listen on ${where}: this machine has no such address; correct --addr or server.addr`,
        { cause },
      )
  }
}

/** A wildcard address is nowhere to connect to, so a client on this machine is told `localhost`. */
function urlHost(host: string, address: string, family: string): string {
  if (address === '::' || address === '0.0.0.0') return 'localhost'
  if (host !== '' && !host.includes(':')) return host
  return family === 'IPv6' ? `[${address}]` : address
}

async function within(ms: number, clock: Clock, done: Promise<void>): Promise<void> {
  let cancel: (() => void) | undefined
  const late = new Promise<void>((resolve) => {
    cancel = clock.after(ms, resolve)
  })
  await Promise.race([done, late])
  cancel?.()
}
