import { duration, size, whole } from '../leaves.ts'
import type { LimitSettings } from '../settings.ts'
import { mapped, section } from '../spec.ts'

const KIB = 1_024
const MIB = 1_024 * KIB
const SECOND = 1_000
const HOUR = 3_600_000

const fields = section('Bounds of what callers can ask for.', {
  bodyBytes: size('Largest request body.', { min: KIB, max: 64 * MIB }, { standard: '4MiB' }),
  jsonDepth: whole('Deepest nesting of a JSON body.', { min: 4, max: 512 }, { standard: 64 }),
  headerBytes: size(
    'All headers of a request together.',
    { min: 4 * KIB, max: 256 * KIB },
    { standard: '16KiB' },
  ),
  rows: whole(
    'Rows of one answer unless the call asks for fewer.',
    { min: 1, max: 1_000_000 },
    { standard: 1_000 },
  ),
  resultBytes: size('Data of one answer.', { min: KIB, max: 256 * MIB }, { standard: '8MiB' }),
  streamRows: whole(
    'Rows of one answer that is streamed as NDJSON or CSV; 0 for any number.',
    { min: 0, max: 1_000_000_000 },
    { standard: 0 },
  ),
  streamTime: duration(
    'How long one streamed answer may take in all.',
    { min: SECOND, max: 24 * HOUR },
    { standard: '15m' },
  ),
  sessionsPerCredential: whole(
    'Sessions that one credential may have open.',
    { min: 1, max: 100_000 },
    { standard: 256 },
  ),
  sessions: whole('Sessions of all credentials together.', { min: 1, max: 1_000_000 }, { standard: 10_000 }),
  sessionIdle: duration(
    'An unused session is closed after this time.',
    { min: SECOND, max: 24 * HOUR },
    { standard: '30m' },
  ),
  requestTimeout: duration(
    'How long a client may take to send a whole request, and a tool called over MCP may take to answer.',
    { min: SECOND, max: HOUR },
    { standard: '60s' },
  ),
  drain: duration('How long stopping waits for open requests.', { min: 0, max: HOUR }, { standard: '10s' }),
})

export const limits = mapped(fields, (value, place, context): LimitSettings | undefined => {
  const { sessionIdle, streamTime, requestTimeout, drain, ...rest } = value
  if (value.sessionsPerCredential > value.sessions) {
    const at = context.places.get('limits.sessionsPerCredential') ?? place
    context.report.problem('config_conflict', at, `is more than limits.sessions (${value.sessions})`)
    return undefined
  }
  return {
    ...rest,
    streamTimeMs: streamTime,
    sessionIdleMs: sessionIdle,
    requestTimeoutMs: requestTimeout,
    drainMs: drain,
  }
})
