import { formatArrayText, parseArrayText } from './array-text.ts'
import type { TextParameter } from './frontend-messages.ts'

/**
 * How PostgreSQL values become JSON. The text form is PostgreSQL's own, taken apart only where JSON has the
 * same thing without loss; `docs/databases.md` has the table.
 */
export type Decode = (bytes: Buffer, start: number, end: number) => unknown

interface TypeEntry {
  readonly name: string
  readonly decode: Decode
}

/** The longest number of digits that is certainly a safe integer. */
const SAFE_DIGITS = 15

const text: Decode = (bytes, start, end) => bytes.toString('utf8', start, end)

const boolean: Decode = (bytes, start) => bytes[start] === 0x74

/** Digits are read where they lie: most numbers in answers are short integers. */
function integer(bytes: Buffer, start: number, end: number): number | string {
  const negative = bytes[start] === 0x2d
  const first = negative ? start + 1 : start
  if (end - first <= SAFE_DIGITS) {
    let value = 0
    for (let at = first; at < end; at += 1) value = value * 10 + ((bytes[at] as number) - 0x30)
    return negative && value !== 0 ? -value : value
  }
  const digits = bytes.toString('latin1', start, end)
  const value = Number(digits)
  return Number.isSafeInteger(value) ? value : digits
}

/** NaN and the infinities stay text: JSON has no such numbers. */
function float(bytes: Buffer, start: number, end: number): number | string {
  const digits = bytes.toString('latin1', start, end)
  const value = Number(digits)
  return Number.isFinite(value) ? value : digits
}

/** `JSON.parse` hands the source text of each number to its reviver (ECMAScript 2026); the types do not know yet. */
type Revive = (key: string, value: unknown, context: { readonly source?: string }) => unknown

/**
 * Whole numbers that a JavaScript number would change stay text, as they do outside of json, and so do those beyond
 * its largest: they would be written as null.
 */
const keepDigits: Revive = (_key, value, { source }) =>
  typeof value === 'number' && (!Number.isFinite(value) || isRounded(value, source)) ? source : value

const isRounded = (value: number, source = ''): boolean =>
  !Number.isSafeInteger(value) && /^-?\d+$/.test(source)

/** What may not survive as a JavaScript number; an exponent of three digits may be beyond 1e308. */
const LONG_NUMBER = /\d{16}|\d[eE]\+?\d{3}/

/**
 * PostgreSQL keeps json of some 6,000 levels. The answer is written by a function that calls itself for each
 * level and runs out of stack before that, and so do the parsers of clients.
 */
const DEEPEST_JSON = 500

/** A json value that the parser does not take stays text rather than failing the whole answer. */
function json(bytes: Buffer, start: number, end: number): unknown {
  const source = bytes.toString('utf8', start, end)
  if (source.length > 2 * DEEPEST_JSON && nestsDeeper(source, DEEPEST_JSON)) return source
  try {
    if (!LONG_NUMBER.test(source)) return JSON.parse(source) as unknown
    return JSON.parse(source, keepDigits as (key: string, value: unknown) => unknown) as unknown
  } catch {
    return source
  }
}

/** Whether json nests so deeply that it stays text. */
export function isTooDeep(bytes: Buffer, start: number, end: number): boolean {
  return end - start > 2 * DEEPEST_JSON && nestsDeeper(bytes.toString('utf8', start, end), DEEPEST_JSON)
}

/** @param source JSON that PostgreSQL has checked */
function nestsDeeper(source: string, most: number): boolean {
  let depth = 0
  let quoted = false
  for (let at = 0; at < source.length; at += 1) {
    switch (source.charCodeAt(at)) {
      case 0x5c: // backslash: only in strings
        at += 1
        break
      case 0x22: // quote
        quoted = !quoted
        break
      case 0x5b: // [
      case 0x7b: // {
        if (!quoted && ++depth > most) return true
        break
      case 0x5d: // ]
      case 0x7d: // }
        if (!quoted) depth -= 1
        break
      default:
    }
  }
  return false
}

/** OID of the type, its name, the OID of its array type (pg_type.dat), and how to read it. */
const SCALARS: readonly (readonly [oid: number, name: string, arrayOid: number, decode: Decode])[] = [
  [16, 'bool', 1000, boolean],
  [17, 'bytea', 1001, text],
  [18, 'char', 1002, text],
  [19, 'name', 1003, text],
  [20, 'int8', 1016, integer],
  [21, 'int2', 1005, integer],
  [23, 'int4', 1007, integer],
  [24, 'regproc', 1008, text],
  [25, 'text', 1009, text],
  [26, 'oid', 1028, integer],
  [114, 'json', 199, json],
  [142, 'xml', 143, text],
  [600, 'point', 1017, text],
  [650, 'cidr', 651, text],
  [700, 'float4', 1021, float],
  [701, 'float8', 1022, float],
  [790, 'money', 791, text],
  [829, 'macaddr', 1040, text],
  [869, 'inet', 1041, text],
  [1042, 'bpchar', 1014, text],
  [1043, 'varchar', 1015, text],
  [1082, 'date', 1182, text],
  [1083, 'time', 1183, text],
  [1114, 'timestamp', 1115, text],
  [1184, 'timestamptz', 1185, text],
  [1186, 'interval', 1187, text],
  [1266, 'timetz', 1270, text],
  [1560, 'bit', 1561, text],
  [1562, 'varbit', 1563, text],
  [1700, 'numeric', 1231, text],
  [2205, 'regclass', 2210, text],
  [2206, 'regtype', 2211, text],
  [2950, 'uuid', 2951, text],
  [3802, 'jsonb', 3807, json],
]

function arrayOf(decode: Decode): Decode {
  return (bytes, start, end) => {
    const source = bytes.toString('utf8', start, end)
    const element = (part: string): unknown => {
      if (decode === text) return part
      const partBytes = Buffer.from(part)
      return decode(partBytes, 0, partBytes.length)
    }
    return parseArrayText(source, element) ?? source
  }
}

const TYPES = new Map<number, TypeEntry>([
  [705, { name: 'unknown', decode: text }],
  [2249, { name: 'record', decode: text }],
  [2278, { name: 'void', decode: text }],
])
for (const [oid, name, arrayOid, decode] of SCALARS) {
  TYPES.set(oid, { name, decode })
  TYPES.set(arrayOid, { name: `${name}[]`, decode: arrayOf(decode) })
}

/** How to read a value of the type; types not built in are text. */
export const decoderOf = (oid: number): Decode => TYPES.get(oid)?.decode ?? text

/** What a value is to whoever writes it without reading it first. */
export type Kind = 'boolean' | 'integer' | 'float' | 'json' | 'array' | 'text'

const KINDS: ReadonlyMap<Decode, Kind> = new Map<Decode, Kind>([
  [boolean, 'boolean'],
  [integer, 'integer'],
  [float, 'float'],
  [json, 'json'],
  [text, 'text'],
])

export const kindOf = (oid: number): Kind => KINDS.get(decoderOf(oid)) ?? 'array'

const NUMERIC_OID = 1700
const MONEY_OID = 790

/** Whether the text of every value of the type is a number. */
export function isNumeric(oid: number): boolean {
  const kind = kindOf(oid)
  return kind === 'integer' || kind === 'float' || oid === NUMERIC_OID || oid === MONEY_OID
}

/** Name of a built-in type, or `undefined` for one that the database must be asked about. */
export const builtInTypeName = (oid: number): string | undefined => TYPES.get(oid)?.name

const parameterText = (value: unknown): TextParameter => {
  if (value === null || value === undefined) return null
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean')
    return String(value)
  return JSON.stringify(value)
}

/** Writes a bound value as text, which PostgreSQL types: lists become arrays, objects become json. */
export const toParameter = (value: unknown): TextParameter =>
  Array.isArray(value) ? formatArrayText(value, parameterText) : parameterText(value)
