import { csvAnswer } from './csv.ts'
import type { MakeFormat } from './format.ts'
import { jsonAnswer } from './json.ts'
import { ndjsonAnswer } from './ndjson.ts'

interface Range {
  readonly type: string
  readonly parameters: ReadonlyMap<string, string>
  /** RFC 9110 §12.4.2 */
  readonly weight: number
}

/** In the order of preference between equals. */
const FORMATS: readonly (readonly [types: readonly string[], make: (range: Range) => MakeFormat])[] = [
  [['application/json'], () => jsonAnswer],
  [['application/x-ndjson', 'application/ndjson', 'application/jsonl'], () => ndjsonAnswer],
  [
    ['text/csv'],
    ({ parameters }) => csvAnswer({ guardFormulas: parameters.get('formulas')?.toLowerCase() === 'guarded' }),
  ],
]

/**
 * The format that a client would rather have (RFC 9110 §12.5.1). One that accepts none of them gets JSON, as
 * every client did before there were others.
 */
export function acceptedFormat(accept: string | null): MakeFormat {
  let best: { readonly make: MakeFormat; readonly weight: number } | null = null
  const ranges = (accept ?? '').split(',').map(readRange)
  for (const [types, make] of FORMATS) {
    const range = mostSpecific(ranges, types)
    if (range === undefined || range.weight === 0) continue
    if (best === null || range.weight > best.weight) best = { make: make(range), weight: range.weight }
  }
  return best?.make ?? jsonAnswer
}

function readRange(text: string): Range {
  const [type = '', ...rest] = text.split(';').map((part) => part.trim())
  const parameters = new Map(
    rest.map((part) => {
      const [name = '', value = ''] = part.split('=')
      return [name.trim().toLowerCase(), value.trim().replaceAll('"', '')]
    }),
  )
  const weight = Number(parameters.get('q') ?? 1)
  return { type: type.toLowerCase(), parameters, weight: weight >= 0 && weight <= 1 ? weight : 0 }
}

/** An exact type speaks before `text/*`, and that before the range of everything. */
function mostSpecific(ranges: readonly Range[], types: readonly string[]): Range | undefined {
  const family = `${types[0]?.split('/')[0] ?? ''}/*`
  return (
    ranges.find(({ type }) => types.includes(type)) ??
    ranges.find(({ type }) => type === family) ??
    ranges.find(({ type }) => type === '*/*')
  )
}
