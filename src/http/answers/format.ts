import type { Refusal } from '../../access/refusal.ts'
import type { Column } from '../../databases/database.ts'
import type { ByteWriter } from '../../databases/rows/byte-writer.ts'
import type { WriteRow } from '../../databases/rows/json-rows.ts'
import type { RowSink } from '../../databases/rows/row-sink.ts'
import type { ErrorBody } from '../error-to-wire.ts'

/** What is said of an answer beside its rows, with the members of the JSON reply. */
export interface AnswerFacts {
  readonly columns: readonly Column[]
  readonly row_count: number
  readonly truncated: boolean
  readonly [fact: string]: unknown
}

/** One way to write an answer. */
export interface AnswerFormat {
  readonly contentType: string
  /** What the database is to bound the answer by. */
  readonly bounds: 'answer' | 'stream'
  /** So many bytes are held back, for an answer that fails before to have a status of its own. */
  readonly holdBytes: number
  begin(...columns: Parameters<RowSink['begin']>): WriteRow
  /**
   * Writes what comes after the rows.
   *
   * @returns why the answer must not be given, where the format cannot say that rows are missing
   */
  end(facts: AnswerFacts): Refusal | null
  /** Writes that the answer is not whole; false where the format has no words for it. */
  fail(error: ErrorBody): boolean
}

export type MakeFormat = (writer: ByteWriter) => AnswerFormat
