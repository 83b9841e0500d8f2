import type { TraceContext } from './trace-context.ts'

/** Version, trace id, parent id, flags (Trace Context §3.2.2); what a later version adds comes after a hyphen. */
const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

const NO_TRACE = '0'.repeat(32)
const NO_PARENT = '0'.repeat(16)

/** Sampled, and random trace id (Trace Context Level 2 §3.2.2.5); other bits must be sent on as zero. */
const KNOWN_FLAGS = 0b11

/** `key` or `tenant@system` (§3.3.2.2.1), then a value that does not end in a blank (§3.3.2.2.2). */
const MEMBER =
  /^(?:[a-z0-9][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/

const MOST_MEMBERS = 32

/** What everybody has to be able to send on (§3.3.1.5), and no more is taken from a stranger. Characters. */
const LONGEST_STATE = 512

/** Longer members are the first to go when the whole is too long (§3.3.1.5). */
const LONG_MEMBER = 128

/** A refused value is not worth a longer look. */
const LONGEST_PARENT = 256
const LONGEST_STATE_READ = 8_192

interface Carrier {
  readonly traceparent?: unknown
  readonly tracestate?: unknown
}

/**
 * The trace a request belongs to, as its client says: the `_meta` of an MCP message (2026-07-28 basic, "OpenTelemetry
 * trace context") before the HTTP headers, which an intermediary may have set. What is malformed counts as absent
 * (Trace Context §4.3): it never refuses a request, and nothing unchecked is sent on.
 *
 * @param headers of the HTTP request, in lower case
 * @param meta `params._meta` of the message, unchecked
 */
export function readTraceContext(headers: Carrier, meta?: unknown): TraceContext | undefined {
  return (isCarrier(meta) ? read(meta) : undefined) ?? read(headers)
}

/** Keys of `_meta` that carry a trace: taken off when a message is read, put on again when it is sent. */
export const TRACE_META_KEYS = ['traceparent', 'tracestate'] as const

const isCarrier = (meta: unknown): meta is Carrier =>
  typeof meta === 'object' && meta !== null && Object.hasOwn(meta, 'traceparent')

function read({ traceparent, tracestate }: Carrier): TraceContext | undefined {
  if (typeof traceparent !== 'string' || traceparent.length > LONGEST_PARENT) return undefined
  const parent = readParent(traceparent)
  if (parent === undefined) return undefined
  const state = typeof tracestate === 'string' ? readState(tracestate) : undefined
  return state === undefined ? { traceparent: parent } : { traceparent: parent, tracestate: state }
}

/** In version 00, whatever later version it came in (§4.3, "higher version"). */
function readParent(text: string): string | undefined {
  const [, version, trace, parent, flags = '', rest] = TRACEPARENT.exec(text) ?? []
  if (version === undefined || version === 'ff' || (version === '00' && rest !== undefined)) return undefined
  if (trace === NO_TRACE || parent === NO_PARENT) return undefined
  const known = (Number.parseInt(flags, 16) & KNOWN_FLAGS).toString(16)
  return `00-${trace}-${parent}-0${known}`
}

/** A list that is wrong anywhere is dropped as a whole (§3.3.1.1); the trace itself goes on. */
function readState(text: string): string | undefined {
  if (text.length > LONGEST_STATE_READ) return undefined
  const members: string[] = []
  const keys = new Set<string>()
  for (const piece of text.split(',')) {
    const member = piece.replace(/^[ \t]+|[ \t]+$/g, '')
    if (member === '') continue
    const key = member.slice(0, member.indexOf('='))
    if (!MEMBER.test(member) || keys.has(key) || members.length === MOST_MEMBERS) return undefined
    keys.add(key)
    members.push(member)
  }
  return members.length === 0 ? undefined : shortened(members)
}

function shortened(members: readonly string[]): string | undefined {
  const whole = members.join(',')
  if (whole.length <= LONGEST_STATE) return whole
  const kept = members.filter((member) => member.length <= LONG_MEMBER)
  while (kept.length > 0 && kept.join(',').length > LONGEST_STATE) kept.pop()
  return kept.length === 0 ? undefined : kept.join(',')
}
