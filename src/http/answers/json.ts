import { jsonArrayRows } from '../../databases/rows/json-rows.ts'
import type { MakeFormat } from './format.ts'

const MIB = 1024 * 1024

/**
 * One document. All that the default limits allow is held until it is complete; of what is longer the end is
 * missing when it fails, and no parser takes that for JSON.
 */
export const jsonAnswer: MakeFormat = (writer) => {
  let begun = false
  let columnsSaid = false
  return {
    contentType: 'application/json; charset=utf-8',
    bounds: 'answer',
    holdBytes: 16 * MIB,
    begin(fields, columns) {
      begun = true
      columnsSaid = columns !== undefined
      writer.text(columns === undefined ? '{"rows":[' : `{"columns":${JSON.stringify(columns)},"rows":[`)
      return jsonArrayRows(fields, writer)
    },
    end({ columns, ...facts }) {
      const rest = JSON.stringify(columnsSaid ? facts : { columns, ...facts })
      writer.text(`${begun ? ']' : '{"rows":[]'},${rest.slice(1)}\n`)
      return null
    },
    fail: () => false,
  }
}
