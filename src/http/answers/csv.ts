import { refusal } from '../../access/refusal.ts'
import { csvHeader, type CsvOptions, csvRows } from '../../databases/rows/csv-rows.ts'
import type { MakeFormat } from './format.ts'

/** A file has no place for a remark: one that lacks rows is not given, or not to its end. */
export const csvAnswer =
  (options: CsvOptions): MakeFormat =>
  (writer) => ({
    contentType: 'text/csv; charset=utf-8; header=present',
    bounds: 'stream',
    holdBytes: 0,
    begin(fields) {
      csvHeader(fields, writer, options)
      return csvRows(fields, writer, options)
    },
    end({ truncated, truncated_by: by }) {
      if (!truncated) return null
      return by === 'bytes'
        ? refusal('result_too_large', 'limit.bytes', 'a row is larger than limits.resultBytes', {
            allowed: 'shorter columns, for example with left(column, 1000)',
          })
        : refusal('result_too_large', 'limit.rows', 'there are more rows than limits.streamRows', {
            allowed: 'a narrower WHERE, or NDJSON, which says that rows are missing',
          })
    },
    fail: () => false,
  })
