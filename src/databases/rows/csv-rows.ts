import type { Field } from '../exchange.ts'
import { isNumeric } from '../values.ts'
import type { ByteWriter } from './byte-writer.ts'
import type { WriteRow } from './json-rows.ts'

const QUOTE = 0x22
const COMMA = 0x2c
const CR = 0x0d
const LF = 0x0a
const TAB = 0x09
const APOSTROPHE = 0x27
const BACKSLASH = 0x5c
const DOT = 0x2e

/** What a spreadsheet takes for the beginning of a formula (OWASP, "CSV Injection"). */
const FORMULA_STARTS: ReadonlySet<number> = new Set([0x3d, 0x2b, 0x2d, 0x40, TAB, CR])

export interface CsvOptions {
  /** Writes an apostrophe before a text that a spreadsheet would take for a formula. */
  readonly guardFormulas: boolean
}

/** The header line: the names of the columns. */
export function csvHeader(fields: readonly Field[], writer: ByteWriter, { guardFormulas }: CsvOptions): void {
  for (const [index, { name }] of fields.entries()) {
    if (index > 0) writeByte(writer, COMMA)
    const bytes = Buffer.from(name)
    writeField(writer, bytes, 0, bytes.length, guardFormulas)
  }
  endLine(writer)
}

/**
 * Rows as RFC 4180 has them, values as PostgreSQL writes them. NULL is nothing at all and the empty text is
 * `""`, which is how PostgreSQL's own COPY tells them apart.
 */
export function csvRows(
  fields: readonly Field[],
  writer: ByteWriter,
  { guardFormulas }: CsvOptions,
): WriteRow {
  const guarded = fields.map(({ typeOid }) => guardFormulas && !isNumeric(typeOid))
  const count = fields.length
  return (bytes, start) => {
    let at = start + 2
    for (let index = 0; index < count; index += 1) {
      if (index > 0) writeByte(writer, COMMA)
      const length = bytes.readInt32BE(at)
      at += 4
      if (length < 0) continue
      writeField(writer, bytes, at, at + length, guarded[index] === true)
      at += length
    }
    endLine(writer)
  }
}

function writeField(writer: ByteWriter, bytes: Buffer, start: number, end: number, guarded: boolean): void {
  const formula = guarded && end > start && FORMULA_STARTS.has(bytes[start] as number)
  let quotes = 0
  let quoted = formula || start === end || isEndOfData(bytes, start, end)
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] as number
    if (byte > COMMA) continue
    if (byte === QUOTE) quotes += 1
    else if (byte === COMMA || byte === LF || byte === CR) quoted = true
  }
  if (!quoted && quotes === 0) {
    writer.range(bytes, start, end)
    return
  }
  writeByte(writer, QUOTE)
  if (formula) writeByte(writer, APOSTROPHE)
  if (quotes === 0) writer.range(bytes, start, end)
  else writeDoubled(writer, bytes, start, end, quotes)
  writeByte(writer, QUOTE)
}

/** `\.` alone on a line ends the data for PostgreSQL's own COPY, unless it is quoted. */
const isEndOfData = (bytes: Buffer, start: number, end: number): boolean =>
  end - start === 2 && bytes[start] === BACKSLASH && bytes[start + 1] === DOT

function writeDoubled(writer: ByteWriter, bytes: Buffer, start: number, end: number, quotes: number): void {
  writer.ensure(end - start + quotes)
  const { out } = writer
  let { at } = writer
  for (let from = start; from < end; from += 1) {
    const byte = bytes[from] as number
    out[at] = byte
    at += 1
    if (byte !== QUOTE) continue
    out[at] = QUOTE
    at += 1
  }
  writer.at = at
}

function writeByte(writer: ByteWriter, byte: number): void {
  writer.ensure(1)
  writer.out[writer.at] = byte
  writer.at += 1
}

function endLine(writer: ByteWriter): void {
  writer.ensure(2)
  writer.out[writer.at] = CR
  writer.out[writer.at + 1] = LF
  writer.at += 2
}
