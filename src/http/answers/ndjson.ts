import { jsonLineRows } from '../../databases/rows/json-rows.ts'
import type { MakeFormat } from './format.ts'

/** One object a line, and a last line that says how many there were, or why there are no more. */
export const ndjsonAnswer: MakeFormat = (writer) => ({
  contentType: 'application/x-ndjson; charset=utf-8',
  bounds: 'stream',
  holdBytes: 0,
  begin: (fields) => jsonLineRows(fields, writer),
  end(facts) {
    writer.text(`${JSON.stringify(facts)}\n`)
    return null
  },
  fail(error) {
    writer.text(`${JSON.stringify(error)}\n`)
    return true
  },
})
