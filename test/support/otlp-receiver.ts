import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A span as OTLP/HTTP carries it in JSON, with its attributes as one object. */
export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  /** 2 is server, 3 is client. */
  readonly kind: number
  /** 2 is error. */
  readonly status: { readonly code?: number }
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly traceState?: string
  readonly facts: Readonly<Record<string, unknown>>
}

/** A trace collector, as far as receiving goes. */
export interface OtlpReceiver {
  readonly url: string
  readonly spans: readonly ReceivedSpan[]
  /** `service.name` and the like, of the last export. */
  readonly resource: Readonly<Record<string, unknown>>
  readonly headers: readonly IncomingHttpHeaders[]
  /** What it answers from now on. */
  answer(status: number): void
  close(): Promise<void>
}

interface Attribute {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}

interface Export {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] }
    readonly scopeSpans: readonly {
      readonly spans: readonly (Omit<ReceivedSpan, 'facts'> & {
        readonly attributes?: readonly Attribute[]
      })[]
    }[]
  }[]
}

const factsOf = (attributes: readonly Attribute[] = []): Record<string, unknown> =>
  Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      'intValue' in value ? Number(value['intValue']) : Object.values(value)[0],
    ]),
  )

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const spans: ReceivedSpan[] = []
  const headers: IncomingHttpHeaders[] = []
  let resource: Record<string, unknown> = {}
  let status = 200
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      headers.push(request.headers)
      if (status === 200) {
        const { resourceSpans } = JSON.parse(Buffer.concat(chunks).toString()) as Export
        for (const one of resourceSpans) {
          resource = factsOf(one.resource.attributes)
          for (const { attributes, ...span } of one.scopeSpans.flatMap((scope) => scope.spans)) {
            spans.push({ ...span, facts: factsOf(attributes) })
          }
        }
      }
      response.writeHead(status, { 'content-type': 'application/json' }).end('{}')
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`,
    spans,
    get resource() {
      return resource
    },
    headers,
    answer(next) {
      status = next
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
