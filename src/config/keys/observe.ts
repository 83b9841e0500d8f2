import { flag, text, webUrl } from '../leaves.ts'
import type { TraceSettings } from '../settings.ts'
import { leaf, mapped, optional, section, type Spec } from '../spec.ts'
import { headers } from './mcp-credentials.ts'

export const metrics = section('Numbers for Prometheus and whatever reads its format.', {
  enabled: flag('Answer `GET /metrics`.', { standard: true }),
})

/** A part of the whole. */
const share = (about: string, standard: number): Spec<number> =>
  leaf(
    about,
    { name: 'number from 0 to 1', schema: { type: 'number', minimum: 0, maximum: 1 } },
    { standard },
    (node, context) => {
      const written = node.kind === 'scalar' && /^(?:\d{1,3}(?:\.\d{1,9})?|\.\d{1,9})$/.test(node.text)
      const value = written ? Number(node.text) : Number.NaN
      if (value >= 0 && value <= 1) return value
      context.report.problem('config_bad_value', node, 'must be a number from 0 to 1, such as 0.1')
      return undefined
    },
  )

export const traces = optional(
  mapped(
    section('Traces for OpenTelemetry. Without it none are made, and those of clients are passed on.', {
      endpoint: webUrl('Where spans are sent: OTLP over HTTP, the whole URL.', {
        example: 'http://127.0.0.1:4318/v1/traces',
        exact: true,
      }),
      headers: {
        ...headers,
        about: 'Headers that are sent with every export, such as the key of a collector.',
      },
      ratio: share(
        'Part of the requests that is traced, where the client did not decide; those of a client that is traced always are.',
        1,
      ),
      serviceName: text('`service.name` of the spans.', { standard: 'postern' }),
    }),
    ({ headers: given, ...value }): TraceSettings => ({
      ...value,
      headers: Object.fromEntries(given.map((header) => [header.name, header.value])),
    }),
  ),
)
