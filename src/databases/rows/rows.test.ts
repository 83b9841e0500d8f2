import { array, assert, constant, constantFrom, oneof, property, string, tuple } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decoderOf } from '../values.ts'
import { ByteWriter } from './byte-writer.ts'
import { csvHeader, csvRows } from './csv-rows.ts'
import { distinctNames, jsonArrayRows, jsonLineRows, type WriteRow } from './json-rows.ts'

const INT4 = 23
const INT8 = 20
const TEXT = 25
const BOOL = 16
const FLOAT8 = 701
const JSONB = 3802
const NUMERIC = 1700

type Value = string | null

/** The body of a DataRow message, behind some bytes of another one. */
function dataRow(values: readonly Value[]): { bytes: Buffer; start: number } {
  const parts = [Buffer.from('before'), Buffer.from([values.length >> 8, values.length & 255])]
  for (const value of values) {
    const text = value === null ? Buffer.alloc(0) : Buffer.from(value)
    const length = Buffer.alloc(4)
    length.writeInt32BE(value === null ? -1 : text.length)
    parts.push(length, text)
  }
  return { bytes: Buffer.concat([...parts, Buffer.from('behind')]), start: 6 }
}

const fieldsOf = (oids: readonly number[]) => oids.map((typeOid, index) => ({ name: `c${index}`, typeOid }))

function written(
  rows: readonly (readonly Value[])[],
  make: (writer: ByteWriter) => WriteRow,
  before: (writer: ByteWriter) => void = () => undefined,
): string {
  const pieces: Buffer[] = []
  const writer = new ByteWriter((piece) => pieces.push(piece))
  before(writer)
  const write = make(writer)
  for (const row of rows) {
    const { bytes, start } = dataRow(row)
    write(bytes, start)
  }
  writer.flush()
  return Buffer.concat(pieces).toString('utf8')
}

const arrays = (oids: readonly number[], rows: readonly (readonly Value[])[]): string =>
  written(rows, (writer) => jsonArrayRows(fieldsOf(oids), writer))

/** What the two steps, reading values and writing them, would give. */
function expected(oids: readonly number[], rows: readonly (readonly Value[])[]): unknown {
  const values = rows.map((row) =>
    row.map((value, index) => {
      if (value === null) return null
      const bytes = Buffer.from(value)
      return decoderOf(oids[index] as number)(bytes, 0, bytes.length)
    }),
  )
  return JSON.parse(JSON.stringify(values))
}

describe('rows as JSON', () => {
  it('read the same as the values that PostgreSQL sent', () => {
    const rows: Value[][] = [
      [
        '1',
        '-9007199254740993',
        'plain',
        't',
        '1.5',
        '{"a": 1}',
        '{1,NULL,2}',
        '{a,"b \\" c",NULL}',
        '12.50',
      ],
      ['-7', '9007199254740991', '', 'f', 'NaN', '[]', '{}', '{{a},{b}}', '-0.10'],
      [null, null, null, null, null, null, null, null, null],
      [
        '2147483647',
        '12',
        '\u0001\t"\\\n',
        't',
        '-Infinity',
        '{"n": 12345678901234567890}',
        '{3}',
        '{""}',
        '1',
      ],
      ['0', '-1', 'é😀\u2028', 'f', '1e+20', '"a\\nb"', '{-5}', '{NULL,"NULL"}', 'NaN'],
      ['5', '7', 'x', 't', 'Infinity', '['.repeat(600) + ']'.repeat(600), '{}', '[0:1]={a,b}', '0'],
    ]
    const oids = [INT4, INT8, TEXT, BOOL, FLOAT8, JSONB, 1007, 1009, NUMERIC]
    expect(JSON.parse(`[${arrays(oids, rows)}]`)).toEqual(expected(oids, rows))
  })

  it('keep numbers of json that no reader could hold, and change no other', () => {
    const rows = [
      '1e400',
      '[-1E+400, 1e308]',
      '{"a": 1.5e0999, "b": 1e-400}',
      '"3e400"',
      '[1e40, 2E+07]',
    ].map((row) => [row])
    expect(JSON.parse(`[${arrays([114], rows)}]`)).toEqual([
      ['1e400'],
      [['-1E+400', 1e308]],
      [{ a: '1.5e0999', b: 0 }],
      ['3e400'],
      [[1e40, 2e7]],
    ])
    expect(JSON.parse(`[${arrays([114], rows)}]`)).toEqual(expected([114], rows))
  })

  it('read the same for any text, in any number of rows, across the bounds of pieces', () => {
    const value = oneof(constant(null), string({ unit: 'binary', maxLength: 40 }))
    assert(
      property(array(tuple(value, value), { maxLength: 60 }), (rows) => {
        const clean = rows.map((row) => row.map((each) => each?.toWellFormed() ?? null))
        expect(JSON.parse(`[${arrays([TEXT, TEXT], clean)}]`)).toEqual(clean)
      }),
      { numRuns: 50 },
    )
  })

  it('hold values longer than a piece, escapes and all', () => {
    const long = '"é\n'.repeat(100_000)
    expect(JSON.parse(`[${arrays([TEXT, INT4], [[long, '7']])}]`)).toEqual([[long, 7]])
  })

  it('are one object a line, whatever line breaks the values hold', () => {
    const text = written(
      [
        ['a\nb', '{\n"k": [1,\r\n2]}'],
        [null, null],
      ],
      (writer) => jsonLineRows(fieldsOf([TEXT, 114]), writer),
    )
    const lines = text.split('\n')
    expect(lines).toHaveLength(3)
    expect(lines.slice(0, 2).map((line) => JSON.parse(line) as unknown)).toEqual([
      { c0: 'a\nb', c1: { k: [1, 2] } },
      { c0: null, c1: null },
    ])
  })

  it('have a row without columns', () => {
    expect(arrays([], [[], []])).toBe('[],[]')
    expect(written([[]], (writer) => jsonLineRows([], writer))).toBe('{}\n')
  })
})

describe('names of columns as keys', () => {
  it('stay apart where columns have the same one', () => {
    expect(distinctNames(['id', 'id', 'id_2', 'id'])).toEqual(['id', 'id_3', 'id_2', 'id_4'])
    expect(distinctNames(['', ''])).toEqual(['', '?column?_2'])
    expect(distinctNames(['__proto__', 'constructor'])).toEqual(['__proto__', 'constructor'])
  })

  it('are distinct whatever they are, in time that does not grow with their square', () => {
    assert(
      property(array(constantFrom('a', 'a_2', 'a_3', 'b', ''), { maxLength: 30 }), (names) => {
        expect(new Set(distinctNames(names)).size).toBe(names.length)
      }),
    )
    expect(new Set(distinctNames(Array<string>(1_664).fill('same'))).size).toBe(1_664)
  })
})

describe('rows as CSV', () => {
  const csv = (rows: readonly (readonly Value[])[], oids: readonly number[], guardFormulas = false): string =>
    written(
      rows,
      (writer) => csvRows(fieldsOf(oids), writer, { guardFormulas }),
      (writer) => {
        csvHeader(fieldsOf(oids), writer, { guardFormulas })
      },
    )

  it('follow RFC 4180, and tell NULL from the empty text', () => {
    const rows = [
      ['1', 'plain'],
      ['2', null],
      ['3', ''],
      ['4', 'a,b'],
      ['5', 'say "hi"'],
      ['6', 'two\nlines\r\n'],
    ]
    expect(csv(rows, [INT4, TEXT])).toBe(
      'c0,c1\r\n1,plain\r\n2,\r\n3,""\r\n4,"a,b"\r\n5,"say ""hi"""\r\n6,"two\nlines\r\n"\r\n',
    )
  })

  it('quote what PostgreSQL would take for the end of the data', () => {
    expect(csv([['\\.'], ['\\'], ['\\..']], [TEXT])).toBe('c0\r\n"\\."\r\n\\\r\n\\..\r\n')
  })

  it('leave formulas as they are unless they are to be guarded, and numbers alone even then', () => {
    const rows = [
      ['=1+1', '-5', '-0.5'],
      ['@SUM(A1)', '7', null],
      ['+a"b', '1', '1'],
      ['\tx', '1', '1'],
      ['plain', '1', '1'],
    ]
    const oids = [TEXT, INT4, NUMERIC]
    expect(csv(rows.slice(0, 1), oids)).toBe('c0,c1,c2\r\n=1+1,-5,-0.5\r\n')
    expect(csv(rows, oids, true)).toBe(
      'c0,c1,c2\r\n"\'=1+1",-5,-0.5\r\n"\'@SUM(A1)",7,\r\n"\'+a""b",1,1\r\n"\'\tx",1,1\r\nplain,1,1\r\n',
    )
  })

  it('guard the names of columns, too: a statement names them', () => {
    const text = written(
      [],
      (writer) => csvRows([], writer, { guardFormulas: true }),
      (writer) => {
        csvHeader([{ name: '=cmd', typeOid: TEXT }], writer, { guardFormulas: true })
      },
    )
    expect(text).toBe('"\'=cmd"\r\n')
  })
})
