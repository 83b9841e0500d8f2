import type { Column } from '../database.ts'
import type { Field } from '../exchange.ts'

/**
 * Takes an answer row by row while the server sends it, so that nobody holds all of it. What it is given is
 * PostgreSQL's own text form; `src/databases/rows/` writes it as JSON and CSV without making values of it.
 */
export interface RowSink {
  /**
   * Once, before the first row; not at all for a statement that answers without columns.
   *
   * @param columns absent where the name of a type is not known yet; the answer has it at the end
   */
  begin(fields: readonly Field[], columns: readonly Column[] | undefined): void
  /** The body of a DataRow message: `bytes` from `start`, valid during the call only. */
  row(bytes: Buffer, start: number): void
  /**
   * After each piece that came from the server.
   *
   * @returns false when nothing more should come until `onReady` calls back
   */
  rest(): boolean
  onReady(listener: () => void): void
}
