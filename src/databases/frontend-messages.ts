/**
 * Messages to PostgreSQL, protocol 3.0, extended query only (PostgreSQL manual, "Message Formats"). A whole
 * exchange is one buffer, so that it leaves in one write and one packet where it fits: the price of a
 * statement is then one round trip. There is deliberately no simple query message (`Q`) here: it is the one
 * that carries several statements.
 */

/** A bound value in text form; `null` is SQL NULL. */
export type TextParameter = string | null

const PARSE = 0x50
const BIND = 0x42
const DESCRIBE = 0x44
const EXECUTE = 0x45
const PORTAL = 0x50

const SYNC = Buffer.from([0x53, 0, 0, 0, 4])
/** Bind of the unnamed portal to the unnamed statement, without parameters, every result in text. */
const BIND_NOTHING = Buffer.from([BIND, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0])
const DESCRIBE_PORTAL = Buffer.from([DESCRIBE, 0, 0, 0, 6, PORTAL, 0])
export const TERMINATE = Buffer.from([0x58, 0, 0, 0, 4])

const parseLength = (textBytes: number): number => 1 + 4 + 1 + textBytes + 1 + 2

function bindLength(sizes: readonly number[]): number {
  let length = 1 + 4 + 1 + 1 + 2 + 2 + 2
  for (const size of sizes) length += 4 + Math.max(0, size)
  return length
}

/**
 * Parse, Bind, Describe, Execute and Sync of one statement between the bytes of `before` and `after`.
 *
 * @param text must hold no NUL: the message ends the text there, and what follows would be read as protocol
 * @param maxRows 0 for all rows
 */
export function statementMessages(
  text: string,
  params: readonly TextParameter[],
  maxRows: number,
  before: Buffer | null,
  after: Buffer | null,
): Buffer {
  const textBytes = Buffer.byteLength(text)
  const sizes = params.map((value) => (value === null ? -1 : Buffer.byteLength(value)))
  const bindBytes = params.length === 0 ? BIND_NOTHING.length : bindLength(sizes)
  const total =
    (before?.length ?? 0) +
    parseLength(textBytes) +
    bindBytes +
    DESCRIBE_PORTAL.length +
    10 +
    SYNC.length +
    (after?.length ?? 0)
  const out = Buffer.allocUnsafe(total)
  let at = before === null ? 0 : before.copy(out, 0)
  out[at] = PARSE
  out.writeInt32BE(parseLength(textBytes) - 1, at + 1)
  out[at + 5] = 0
  at += 6
  at += out.write(text, at)
  out[at] = out[at + 1] = out[at + 2] = 0
  at += 3
  at = params.length === 0 ? at + BIND_NOTHING.copy(out, at) : writeBind(out, at, params, sizes)
  at += DESCRIBE_PORTAL.copy(out, at)
  out[at] = EXECUTE
  out.writeInt32BE(9, at + 1)
  out[at + 5] = 0
  out.writeInt32BE(maxRows, at + 6)
  at += 10
  at += SYNC.copy(out, at)
  after?.copy(out, at)
  return out
}

function writeBind(
  out: Buffer,
  start: number,
  params: readonly TextParameter[],
  sizes: readonly number[],
): number {
  let at = start
  out[at] = BIND
  out.writeInt32BE(bindLength(sizes) - 1, at + 1)
  out[at + 5] = out[at + 6] = 0
  out.writeUInt16BE(0, at + 7)
  out.writeUInt16BE(params.length, at + 9)
  at += 11
  for (const [index, value] of params.entries()) {
    out.writeInt32BE(sizes[index] ?? -1, at)
    at += 4
    if (value !== null) at += out.write(value, at)
  }
  out.writeUInt16BE(0, at)
  return at + 2
}

/** Parse, Bind and Execute of a fixed statement of ours whose rows nobody reads. */
function fixed(text: string): Buffer {
  const textBytes = Buffer.byteLength(text)
  const parse = Buffer.alloc(parseLength(textBytes))
  parse[0] = PARSE
  parse.writeInt32BE(parse.length - 1, 1)
  parse.write(text, 6)
  return Buffer.concat([parse, BIND_NOTHING, Buffer.from([EXECUTE, 0, 0, 0, 9, 0, 0, 0, 0, 0])])
}

/**
 * Opens a transaction that cannot be switched to writing: once the second statement has taken a snapshot,
 * PostgreSQL itself refuses `transaction_read_only = off` (check_transaction_read_only, variable.c).
 */
const BEGIN_READ_ONLY = Buffer.concat([fixed('BEGIN READ ONLY'), fixed('SELECT 1 WHERE false')])

/** How many statements of ours come before the caller's; one more where there is a timeout. */
export const BEGIN_READ_ONLY_STATEMENTS = 2

/** @param timeoutMs of what follows, where it is not the default of the connection; the ROLLBACK takes it back */
export function beginReadOnly(timeoutMs: number | undefined): Buffer {
  if (timeoutMs === undefined) return BEGIN_READ_ONLY
  return Buffer.concat([
    fixed('BEGIN READ ONLY'),
    fixed(`SET LOCAL statement_timeout = ${Math.trunc(timeoutMs)}`),
    fixed('SELECT 1 WHERE false'),
  ])
}

export const ROLLBACK = Buffer.concat([fixed('ROLLBACK'), SYNC])

/**
 * Takes back what a ROLLBACK does not: settings, role, prepared statements, advisory locks, LISTEN,
 * temporary tables, sequences' last values. It needs a transaction of its own, hence its own Sync.
 */
export const DISCARD_ALL = Buffer.concat([fixed('DISCARD ALL'), SYNC])
