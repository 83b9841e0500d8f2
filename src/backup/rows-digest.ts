import { createHash } from 'node:crypto'
import type { RowValues } from '../store/copy-rows.ts'
import type { StoredTable } from '../store/tables-at.ts'

/** Digest and number of the rows of one table, as they go by in the order in which the backup holds them. */
export class RowsDigest {
  readonly #hash = createHash('sha256')
  #rows = 0

  constructor({ name, columns }: Pick<StoredTable, 'name' | 'columns'>) {
    this.#hash.update(`${JSON.stringify([name, ...columns])}\n`)
  }

  add(rows: readonly RowValues[]): void {
    for (const row of rows) this.#hash.update(`${JSON.stringify(row, plain)}\n`)
    this.#rows += rows.length
  }

  end(): { readonly rows: number; readonly digest: string } {
    return { rows: this.#rows, digest: this.#hash.digest('hex') }
  }
}

/** `Buffer` has a JSON of its own; other bytes get the same. */
const plain = (_: string, value: unknown): unknown =>
  value instanceof Uint8Array ? { bytes: Buffer.from(value).toString('base64') } : value
