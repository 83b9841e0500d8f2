/** One row of Postern's own catalogue queries, by column name; values as in `Rows`. */
export type CatalogueRow = Readonly<Record<string, unknown>>
