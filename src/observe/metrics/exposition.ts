import type { Definition } from './catalogue.ts'
import { BUCKETS_S, type Histogram } from './histogram.ts'

/** What one metric says at one moment. */
export interface Reading {
  readonly definition: Definition
  readonly values: readonly LabelledValue[]
}

export interface LabelledValue {
  /** In the order of `definition.labels`. An empty one is left out, which means the same. */
  readonly labels: readonly string[]
  readonly value: number | Histogram
}

export type Format = 'text' | 'openmetrics'

export const CONTENT_TYPES: Readonly<Record<Format, string>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
}

/** What a scraper asks for (RFC 9110 §12.5.1); OpenMetrics only where it is named and not liked less. */
export function chooseFormat(accept: string | undefined): Format {
  const weightOf = (type: string): number => {
    let best = 0
    for (const one of (accept ?? '').toLowerCase().split(',')) {
      const [range, ...parameters] = one.split(';').map((part) => part.trim())
      if (range !== type) continue
      const q = parameters.find((parameter) => parameter.startsWith('q='))
      const weight = q === undefined ? 1 : Number(q.slice(2))
      if (weight > best && weight <= 1) best = weight
    }
    return best
  }
  const open = weightOf('application/openmetrics-text')
  return open > 0 && open >= weightOf('text/plain') ? 'openmetrics' : 'text'
}

/**
 * The text that a scraper reads: the Prometheus text format 0.0.4, or OpenMetrics 1.0. Metrics without a value
 * are left out.
 */
export function exposition(readings: readonly Reading[], format: Format): string {
  const lines: string[] = []
  for (const { definition, values } of readings) {
    if (values.length === 0) continue
    const { name, kind, help, labels } = definition
    const type = kind === 'read counter' ? 'counter' : kind
    // OpenMetrics names a counter's family without the suffix of its samples.
    const family = format === 'openmetrics' && type === 'counter' ? name.replace(/_total$/, '') : name
    lines.push(`# HELP ${family} ${escape(help)}`, `# TYPE ${family} ${type}`)
    for (const one of values) {
      const pairs = labels.flatMap((label, at) => {
        const text = one.labels[at] ?? ''
        return text === '' ? [] : [`${label}="${escape(text).replaceAll('"', '\\"')}"`]
      })
      if (typeof one.value === 'number') lines.push(`${name}${braced(pairs)} ${one.value}`)
      else lines.push(...histogramLines(name, pairs, one.value, format))
    }
  }
  if (format === 'openmetrics') lines.push('# EOF')
  return `${lines.join('\n')}\n`
}

function histogramLines(
  name: string,
  pairs: readonly string[],
  { counts, sumS }: Histogram,
  format: Format,
): readonly string[] {
  const lines: string[] = []
  let total = 0
  for (const [at, count] of counts.entries()) {
    total += count
    const bound = BUCKETS_S[at]
    const le = bound === undefined ? '+Inf' : boundText(bound, format)
    lines.push(`${name}_bucket${braced([...pairs, `le="${le}"`])} ${total}`)
  }
  return [...lines, `${name}_sum${braced(pairs)} ${sumS}`, `${name}_count${braced(pairs)} ${total}`]
}

/** OpenMetrics 1.0 asks for the canonical form, in which every number is a float. */
const boundText = (bound: number, format: Format): string =>
  format === 'openmetrics' && Number.isInteger(bound) ? bound.toFixed(1) : String(bound)

const braced = (pairs: readonly string[]): string => (pairs.length === 0 ? '' : `{${pairs.join(',')}}`)

const escape = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
