import { sha256Hex } from '../../lib/digest.ts'
import { Fault } from '../../lib/fault.ts'
import type { TenantView } from '../tenancy/tenancy.ts'
import {
  CATALOGUE_QUERIES,
  FINGERPRINT_QUERY,
  SEARCH_PATH_QUERY,
  tenantPathQuery,
  tenantRelationsQuery,
} from './catalogue-queries.ts'

/** Runs one catalogue query; rows are objects keyed by column name. */
export type CatalogueQuery = (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>

/** Objects below this number came with the server (`FirstNormalObjectId`); everything else a person made. */
export const FIRST_USER_OID = 16_384

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
  /** How many arguments a call must give, and how many it can. */
  readonly leastArguments: number
  readonly mostArguments: number
  /** Takes a row as its first argument, so that `t.name` is a call of it. */
  readonly takesRow: boolean
  /** Takes `cstring` or `internal`: made for PostgreSQL to call, not for people. */
  readonly plumbing: boolean
  readonly extension: string | null
  /** `CREATE FUNCTION …` of those that a person wrote in SQL or PL/pgSQL and that claim to change nothing. */
  readonly definition: string | null
  /** `name=value` settings that hold while it runs. */
  readonly settings: readonly string[]
  /** Functions that an aggregate is made of. */
  readonly parts: readonly number[]
}

export interface GateOperator {
  readonly schema: string
  readonly name: string
  /** Its own function, and those of its commutator and negator, which the planner may call instead. */
  readonly functions: readonly number[]
}

export interface GateType {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** `pg_type.typtype`: `b` base, `c` composite, `d` domain, `e` enum, `r` range, `m` multirange, `p` pseudo. */
  readonly kind: string
  readonly extension: string | null
  /** Element, base type, subtype and the types of attributes, where a person made them. */
  readonly madeOf: readonly number[]
  /** CHECK expressions of a domain. */
  readonly checks: readonly string[]
  /** Canonical and difference functions of a range. */
  readonly functions: readonly number[]
}

/** A cast that a person made. */
export interface GateCast {
  readonly source: number
  readonly target: number
  /** `null` when the cast needs no function. */
  readonly function: number | null
}

export interface GateRelation {
  readonly oid: number
  readonly schema: string
  readonly name: string
  /** `pg_class.relkind`: `r` table, `p` partitioned, `v` view, `m` materialised view, `f` foreign, `S` sequence. */
  readonly kind: string
  readonly rowSecurity: boolean
  /** Stored in PostgreSQL's own heap, and so is everything that inherits from it. */
  readonly plain: boolean
  readonly definition: string | null
  /** Types of its columns that a person made. */
  readonly columnTypes: readonly number[]
}

/**
 * What the gate knows of one database as one role sees it: functions, operators, casts, types, relations.
 * Load it as the role that the statements run as, so that `search_path` is the same.
 */
export interface GateCatalogue {
  /** Digest of the content: two catalogues with the same version judge alike. */
  readonly version: string
  /** Changes whenever an object of the database changes; compared only with the same database's. */
  readonly fingerprint: string
  /** Schemas searched for unqualified names, in order, `pg_catalog` included. */
  readonly searchPath: readonly string[]
  readonly functions: ReadonlyMap<string, readonly GateFunction[]>
  readonly functionsByOid: ReadonlyMap<number, GateFunction>
  readonly operators: ReadonlyMap<string, readonly GateOperator[]>
  readonly types: ReadonlyMap<string, readonly GateType[]>
  readonly typesByOid: ReadonlyMap<number, GateType>
  readonly casts: readonly GateCast[]
  readonly relations: ReadonlyMap<string, readonly GateRelation[]>
  /** Several tenants share the database: what shows one of them to another is refused, too. */
  readonly tenants: boolean
  /** The schema in which `tenant()` is Postern's own, looked over before the catalogue is loaded; `null` without tenants. */
  readonly ownSchema: string | null
}

/**
 * Reads the catalogue. With the `previous` one of the same database, answers with it again when nothing
 * changed since: one query instead of seven.
 *
 * @param tenants of a protected database, where statements run as roles of tenants and not as the role that loads
 */
export async function loadGateCatalogue(
  query: CatalogueQuery,
  previous?: GateCatalogue,
  tenants: TenantView | null = null,
): Promise<GateCatalogue> {
  const text = async (sql: string): Promise<string> => {
    const answer = (await query(sql))[0]?.['answer']
    if (typeof answer !== 'string') throw new Fault('internal', 'the catalogue gave no answer in text')
    return answer
  }
  const fingerprint = await text(FINGERPRINT_QUERY)
  if (previous && previous.fingerprint === fingerprint) return previous

  const path = await text(tenants === null ? SEARCH_PATH_QUERY : tenantPathQuery(tenants))
  const functions = await text(CATALOGUE_QUERIES.functions)
  const operators = await text(CATALOGUE_QUERIES.operators)
  const types = await text(CATALOGUE_QUERIES.types)
  const casts = await text(CATALOGUE_QUERIES.casts)
  const relations = await text(tenants === null ? CATALOGUE_QUERIES.relations : tenantRelationsQuery(tenants))
  return makeCatalogue({
    version: sha256Hex(
      [String(tenants !== null), path, functions, operators, types, casts, relations].join('\n'),
    ),
    fingerprint,
    searchPath: JSON.parse(path) as string[],
    functions: JSON.parse(functions) as GateFunction[],
    operators: JSON.parse(operators) as GateOperator[],
    types: JSON.parse(types) as GateType[],
    casts: JSON.parse(casts) as GateCast[],
    relations: JSON.parse(relations) as GateRelation[],
    tenants: tenants !== null,
    ownSchema: tenants?.schema ?? null,
  })
}

/** The lists of a catalogue, before they are indexed. */
export interface CatalogueLists {
  readonly version: string
  readonly fingerprint: string
  readonly searchPath: readonly string[]
  readonly functions: readonly GateFunction[]
  readonly operators: readonly GateOperator[]
  readonly types: readonly GateType[]
  readonly casts: readonly GateCast[]
  readonly relations: readonly GateRelation[]
  readonly tenants?: boolean
  readonly ownSchema?: string | null
}

export function makeCatalogue(lists: CatalogueLists): GateCatalogue {
  return {
    version: lists.version,
    fingerprint: lists.fingerprint,
    searchPath: lists.searchPath,
    functions: Map.groupBy(lists.functions, ({ name }) => name),
    functionsByOid: new Map(lists.functions.map((item) => [item.oid, item])),
    operators: Map.groupBy(lists.operators, ({ name }) => name),
    types: Map.groupBy(lists.types, ({ name }) => name),
    typesByOid: new Map(lists.types.map((item) => [item.oid, item])),
    casts: lists.casts,
    relations: Map.groupBy(lists.relations, ({ name }) => name),
    tenants: lists.tenants === true,
    ownSchema: lists.ownSchema ?? null,
  }
}
