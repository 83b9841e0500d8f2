import type { CatalogueRow } from './catalogue-row.ts'
import type { Column } from './database.ts'
import type { Field } from './exchange.ts'
import { builtInTypeName } from './values.ts'

/** Types remembered per database; enough for every type of a large one, not for an endless loop making them. */
const MOST_REMEMBERED = 10_000

/** Names of the types of one database. The built-in ones are known; others are asked for once. */
export class TypeNames {
  readonly #query: (sql: string, params: readonly unknown[]) => Promise<CatalogueRow[]>
  readonly #names = new Map<number, string>()

  constructor(query: (sql: string, params: readonly unknown[]) => Promise<CatalogueRow[]>) {
    this.#query = query
  }

  /** At once where every type is known. A type whose name cannot be found out is called by its OID. */
  columns(fields: readonly Field[]): Column[] | Promise<Column[]> {
    const unknown = fields.filter(({ typeOid }) => this.#name(typeOid) === undefined)
    return unknown.length === 0 ? this.#columns(fields) : this.#ask(fields, unknown)
  }

  /** `undefined` where a type would have to be asked for. */
  known(fields: readonly Field[]): Column[] | undefined {
    return fields.every(({ typeOid }) => this.#name(typeOid) !== undefined)
      ? this.#columns(fields)
      : undefined
  }

  #name(oid: number): string | undefined {
    return builtInTypeName(oid) ?? this.#names.get(oid)
  }

  #columns(fields: readonly Field[]): Column[] {
    return fields.map(({ name, typeOid }) => ({ name, type: this.#name(typeOid) ?? `oid ${typeOid}` }))
  }

  async #ask(fields: readonly Field[], unknown: readonly Field[]): Promise<Column[]> {
    const oids = [...new Set(unknown.map(({ typeOid }) => typeOid))]
    const rows = await this.#query(
      'SELECT oid, pg_catalog.format_type(oid, NULL) AS name FROM pg_catalog.pg_type WHERE oid = ANY ($1::oid[])',
      [oids],
    ).catch(() => [])
    if (this.#names.size + rows.length > MOST_REMEMBERED) this.#names.clear()
    for (const { oid, name } of rows) this.#names.set(Number(oid), String(name))
    return this.#columns(fields)
  }
}
