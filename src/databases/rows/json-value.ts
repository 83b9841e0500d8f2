import { decoderOf, isTooDeep, kindOf } from '../values.ts'
import type { ByteWriter } from './byte-writer.ts'

/** Writes one value, which lies in `bytes` from `start` to `end` as PostgreSQL's text. */
export type WriteValue = (writer: ByteWriter, bytes: Buffer, start: number, end: number) => void

const QUOTE = 0x22
const BACKSLASH = 0x5c
const MINUS = 0x2d
const PLUS = 0x2b
const SMALL_E = 0x65
const SPACE = 0x20

/** Long texts are written in slices, so that room for the worst of escapes is asked for piece by piece. */
const SLICE = 8 * 1024
/** `\u001f` */
const LONGEST_ESCAPE = 6

const SAFE_DIGITS = 15
const LONG_NUMBER_DIGITS = 16
const LONG_EXPONENT_DIGITS = 3

const TRUE = Buffer.from('true')
const FALSE = Buffer.from('false')

/** Each control character, quote and backslash as `JSON.stringify` writes them; RFC 8259 §7. */
const ESCAPES: readonly Buffer[] = Array.from({ length: BACKSLASH + 1 }, (_, code) =>
  Buffer.from(JSON.stringify(String.fromCharCode(code)).slice(1, -1)),
)

/** UTF-8 stays as it is: no byte of a longer character is below 0x80. */
const text: WriteValue = (writer, bytes, start, end) => {
  writer.ensure(1)
  writer.out[writer.at] = QUOTE
  writer.at += 1
  for (let from = start; from < end;) {
    const to = Math.min(end, from + SLICE)
    writer.ensure((to - from) * LONGEST_ESCAPE)
    const { out } = writer
    let { at } = writer
    for (; from < to; from += 1) {
      const byte = bytes[from] as number
      if (byte >= SPACE && byte !== QUOTE && byte !== BACKSLASH) {
        out[at] = byte
        at += 1
      } else {
        at += (ESCAPES[byte] as Buffer).copy(out, at)
      }
    }
    writer.at = at
  }
  writer.ensure(1)
  writer.out[writer.at] = QUOTE
  writer.at += 1
}

const boolean: WriteValue = (writer, bytes, start) => {
  writer.bytes(bytes[start] === 0x74 ? TRUE : FALSE)
}

const integer: WriteValue = (writer, bytes, start, end) => {
  const digits = end - start - (bytes[start] === MINUS ? 1 : 0)
  const safe = digits <= SAFE_DIGITS || Number.isSafeInteger(Number(bytes.toString('latin1', start, end)))
  if (safe) writer.range(bytes, start, end)
  else text(writer, bytes, start, end)
}

/** PostgreSQL writes finite numbers as JSON does; `NaN`, `Infinity` and `-Infinity` are not numbers there. */
const float: WriteValue = (writer, bytes, start, end) => {
  const first = bytes[start] === MINUS ? start + 1 : start
  if ((bytes[first] as number) <= 0x39) writer.range(bytes, start, end)
  else text(writer, bytes, start, end)
}

/** Line breaks of json stand between its tokens only (RFC 8259 §7), so that a space does as well. */
const json: WriteValue = (writer, bytes, start, end) => {
  if (isTooDeep(bytes, start, end)) {
    text(writer, bytes, start, end)
    return
  }
  if (hasLongNumber(bytes, start, end)) {
    other(writer, decodeJson(bytes, start, end))
    return
  }
  const length = end - start
  writer.ensure(length)
  const { out, at } = writer
  for (let index = 0; index < length; index += 1) {
    const byte = bytes[start + index] as number
    out[at + index] = byte < SPACE ? SPACE : byte
  }
  writer.at = at + length
}

const JSON_OID = 114
const decodeJson = decoderOf(JSON_OID)

/** Whether `decodeJson` might keep a number as text: one of many digits, or with an exponent of three (`1e400`). */
function hasLongNumber(bytes: Buffer, start: number, end: number): boolean {
  let digits = 0
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] as number
    if (byte < 0x30 || byte > 0x39) digits = 0
    else if ((digits += 1) === LONG_NUMBER_DIGITS) return true
    else if (digits === LONG_EXPONENT_DIGITS && isExponent(bytes, start, at - LONG_EXPONENT_DIGITS))
      return true
  }
  return false
}

/** Whether the digits behind `last` follow an `e` or `e+` that follows a digit. */
function isExponent(bytes: Buffer, start: number, last: number): boolean {
  const at = bytes[last] === PLUS ? last - 1 : last
  const before = bytes[at - 1] ?? 0
  return at > start && ((bytes[at] as number) | 0x20) === SMALL_E && before >= 0x30 && before <= 0x39
}

function other(writer: ByteWriter, value: unknown): void {
  writer.text(JSON.stringify(value))
}

const WRITERS = { boolean, integer, float, json, text } as const

/** How a value of the type is written; it reads the same as `decoderOf` and `JSON.stringify` together. */
export function jsonWriter(typeOid: number): WriteValue {
  const kind = kindOf(typeOid)
  if (kind !== 'array') return WRITERS[kind]
  const decode = decoderOf(typeOid)
  return (writer, bytes, start, end) => {
    other(writer, decode(bytes, start, end))
  }
}
