import type { Field } from '../exchange.ts'
import type { ByteWriter } from './byte-writer.ts'
import { jsonWriter, type WriteValue } from './json-value.ts'

/** Writes one row, which lies in `bytes` from `start` as the body of a DataRow message. */
export type WriteRow = (bytes: Buffer, start: number) => void

const NULL = Buffer.from('null')
const NAMELESS = '?column?'

/** Rows as JSON arrays: `[1,"a",null]`, with a comma between two. */
export function jsonArrayRows(fields: readonly Field[], writer: ByteWriter): WriteRow {
  const before = fields.map((_, index) => Buffer.from(index === 0 ? '[' : ','))
  const after = Buffer.from(fields.length === 0 ? '[]' : ']')
  const write = rowWriter(fields, before, after, writer)
  const comma = Buffer.from(',')
  let first = true
  return (bytes, start) => {
    if (first) first = false
    else writer.bytes(comma)
    write(bytes, start)
  }
}

/** Rows as JSON objects, one a line: `{"id":1,"name":"a"}`. */
export function jsonLineRows(fields: readonly Field[], writer: ByteWriter): WriteRow {
  const keys = distinctNames(fields.map(({ name }) => name)).map((name) => JSON.stringify(name))
  const before = keys.map((key, index) => Buffer.from(`${index === 0 ? '{' : ','}${key}:`))
  return rowWriter(fields, before, Buffer.from(fields.length === 0 ? '{}\n' : '}\n'), writer)
}

function rowWriter(
  fields: readonly Field[],
  before: readonly Buffer[],
  after: Buffer,
  writer: ByteWriter,
): WriteRow {
  const writers: readonly WriteValue[] = fields.map(({ typeOid }) => jsonWriter(typeOid))
  const count = fields.length
  return (bytes, start) => {
    let at = start + 2
    for (let index = 0; index < count; index += 1) {
      writer.bytes(before[index] as Buffer)
      const length = bytes.readInt32BE(at)
      at += 4
      if (length < 0) {
        writer.bytes(NULL)
      } else {
        ;(writers[index] as WriteValue)(writer, bytes, at, at + length)
        at += length
      }
    }
    writer.bytes(after)
  }
}

/**
 * An object cannot have the same key twice, an SQL row can have the same name twice: the second `id` becomes
 * `id_2`, or the next number that no column has.
 */
export function distinctNames(names: readonly string[]): string[] {
  const taken = new Set(names)
  const seen = new Set<string>()
  const nextNumber = new Map<string, number>()
  return names.map((name) => {
    let distinct = name
    let number = nextNumber.get(name) ?? 2
    while (seen.has(distinct) || (distinct !== name && taken.has(distinct))) {
      distinct = `${name || NAMELESS}_${number}`
      number += 1
    }
    nextNumber.set(name, number)
    seen.add(distinct)
    return distinct
  })
}
