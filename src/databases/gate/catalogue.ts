/** Runs one catalogue query; rows are objects keyed by column name. */
export type CatalogueQuery = (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>

/** One row of `pg_proc`, as far as the gate needs it. */
export interface GateFunction {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** `i` immutable, `s` stable, `v` volatile. */
  readonly volatility: 'i' | 's' | 'v'
  /** `f` function, `a` aggregate, `w` window function, `p` procedure. */
  readonly kind: 'f' | 'a' | 'w' | 'p'
  readonly language: string
  readonly securityDefiner: boolean
}

/**
 * What the gate knows of one database as one role sees it: functions, operators, casts, types, relations.
 * Load it as the role that the statements run as, so that `search_path` is the same.
 */
export interface GateCatalogue {
  /** Digest of the content: two catalogues with the same version judge alike. */
  readonly version: string
  /** Schemas searched for unqualified names, in order, `pg_catalog` included. */
  readonly searchPath: readonly string[]
}
