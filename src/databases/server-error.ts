/** What PostgreSQL said was wrong. Of the server's internals (file, line, routine, context) nothing is kept. */
export interface ServerError {
  /** True when the server ends the connection with it (FATAL, PANIC). */
  readonly fatal: boolean
  /** Five characters, PostgreSQL manual appendix A. */
  readonly sqlstate: string
  readonly message: string
  readonly hint: string | null
  /** Character of the statement, counted from 1. */
  readonly position: number | null
}

/** Longest text taken over from an error: a function may raise one of megabytes. */
const LONGEST_TEXT = 2_000

const clip = (text: string): string => (text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text)

/** Reads the fields of an ErrorResponse (PostgreSQL manual, "Error and Notice Message Fields"). */
export function readServerError(bytes: Buffer, start: number, end: number): ServerError {
  const fields = new Map<string, string>()
  let at = start
  while (at < end && bytes[at] !== 0) {
    const key = String.fromCharCode(bytes[at] as number)
    const zero = bytes.indexOf(0, at + 1)
    const stop = zero === -1 || zero > end ? end : zero
    fields.set(key, bytes.toString('utf8', at + 1, stop))
    at = stop + 1
  }
  const severity = fields.get('V') ?? fields.get('S') ?? ''
  const position = Number(fields.get('P'))
  const hint = fields.get('H')
  return {
    fatal: severity === 'FATAL' || severity === 'PANIC',
    sqlstate: fields.get('C') ?? 'XX000',
    message: clip(fields.get('M') ?? 'PostgreSQL reported an error without a message'),
    hint: hint === undefined ? null : clip(hint),
    position: Number.isSafeInteger(position) && position > 0 ? position : null,
  }
}
