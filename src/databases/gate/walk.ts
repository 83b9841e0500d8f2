import type { Refusal } from '../../access/refusal.ts'
import { ALLOWED_NODES, type AllowedKind, isAllowedKind } from './allowed-nodes.ts'
import { refuseKind } from './refused-kind.ts'
import { refuseSql } from './rules.ts'
import type { Findings, Names, SearchPath, Verdict } from './verdict.ts'

/** Nodes inside one another. PostgreSQL's own limit is its stack; people stay below 100. */
export const DEEPEST_TREE = 800

type Fields = Readonly<Record<string, unknown>>
/**
 * Names of common table expressions that are visible here: those of one WITH clause, and those around it.
 * Never copied: a statement may name thousands, and hold thousands of WITH clauses that see them all.
 */
interface Scope {
  readonly names: ReadonlySet<string>
  readonly outer: Scope | null
}

const NOTHING_NAMED: Scope = { names: new Set(), outer: null }

function isNamed(name: string, scope: Scope): boolean {
  for (let at: Scope | null = scope; at !== null; at = at.outer) if (at.names.has(name)) return true
  return false
}

/**
 * Walks a syntax tree and refuses the first thing that is not part of a read: by kind, by field, and by
 * what the catalogue says of each name.
 */
export function walkTree(tree: unknown, names: Names, path: SearchPath, findings: Findings): Refusal | null {
  return new Walk(names, path, findings).node(tree, NOTHING_NAMED, 0)
}

class Walk {
  readonly #names: Names
  readonly #path: SearchPath
  readonly #findings: Findings

  constructor(names: Names, path: SearchPath, findings: Findings) {
    this.#names = names
    this.#path = path
    this.#findings = findings
  }

  /** A node with its wrapper, `{ FuncCall: {…} }`, or `{}` for none. */
  node(wrapped: unknown, scope: Scope, depth: number): Refusal | null {
    if (!isFields(wrapped)) return malformed('a node')
    const kinds = Object.keys(wrapped)
    const kind = kinds[0]
    if (kind === undefined) return null
    if (kinds.length > 1) return malformed('a node')
    return this.#fields(kind, wrapped[kind], scope, depth)
  }

  #nodes(list: unknown, scope: Scope, depth: number): Refusal | null {
    if (!Array.isArray(list)) return malformed('a list of nodes')
    for (const item of list) {
      const refused = this.node(item, scope, depth)
      if (refused) return refused
    }
    return null
  }

  #fields(kind: string, fields: unknown, scope: Scope, depth: number): Refusal | null {
    if (!isAllowedKind(kind)) return refuseKind(kind)
    if (!isFields(fields)) return malformed(kind)
    if (depth > DEEPEST_TREE)
      return refuseSql('sql.too_deep', `the statement is nested more than ${DEEPEST_TREE} levels deep`, kind)
    const refused = this.#checks[kind]?.(fields, scope)
    if (refused) return refused

    let inner = scope
    if (kind === 'SelectStmt' && fields['withClause'] !== undefined) {
      if (!isFields(fields['withClause'])) return malformed('WithClause')
      const visible = new Set<string>()
      inner = { names: visible, outer: scope }
      const withRefused = this.#with(fields['withClause'], visible, inner, depth)
      if (withRefused) return withRefused
    }
    const grammar: Readonly<Record<string, string>> = ALLOWED_NODES[kind]
    for (const [name, value] of Object.entries(fields)) {
      const shape = Object.hasOwn(grammar, name) ? grammar[name] : 'never'
      const below = this.#field(kind, name, shape, value, inner, depth + 1)
      if (below) return below
    }
    return null
  }

  #field(
    kind: AllowedKind,
    name: string,
    shape: string | undefined,
    value: unknown,
    scope: Scope,
    depth: number,
  ): Refusal | null {
    switch (shape) {
      case 'value':
        return typeof value === 'object' ? malformed(`${kind}.${name}`) : null
      case 'node':
        return this.node(value, scope, depth)
      case 'nodes':
        return this.#nodes(value, scope, depth)
      case undefined:
      case 'never':
        if (name === 'intoClause') return refuseKind('IntoClause')
        if (name === 'lockingClause') return refuseKind('LockingClause')
        return refuseSql('sql.node', `${kind}.${name} is not part of a read`, kind)
      case 'WithClause':
        // Judged before the rest of its SELECT, where the scopes are known.
        return null
      default:
        return this.#fields(shape, value, scope, depth)
    }
  }

  /**
   * Judges the queries of a WITH clause and adds their names to `visible`, the innermost of `scope`. Without RECURSIVE a query sees
   * only the ones before it: in `WITH pg_authid AS (SELECT * FROM pg_authid)` the inner name is the real one.
   */
  #with(clause: Fields, visible: Set<string>, scope: Scope, depth: number): Refusal | null {
    for (const name of Object.keys(clause))
      if (!Object.hasOwn(ALLOWED_NODES.WithClause, name)) return malformed('WithClause')
    const ctes = clause['ctes']
    if (!Array.isArray(ctes)) return malformed('WithClause')
    const named = ctes.map((cte: unknown) => {
      const fields = isFields(cte) ? cte['CommonTableExpr'] : undefined
      return isFields(fields) && typeof fields['ctename'] === 'string' ? fields['ctename'] : undefined
    })
    if (clause['recursive'] === true) for (const name of named) if (name !== undefined) visible.add(name)
    for (const [index, cte] of ctes.entries()) {
      const name = named[index]
      if (name === undefined) return malformed('WithClause')
      const refused = this.node(cte, scope, depth + 1)
      if (refused) return refused
      visible.add(name)
    }
    return null
  }

  /** What is particular to one kind: the names it brings in, also those that nobody wrote. */
  readonly #checks: { readonly [K in AllowedKind]?: (fields: Fields, scope: Scope) => Refusal | null } = {
    FuncCall: (fields) =>
      this.#ask(this.#names.function(strings(fields['funcname']), argumentCount(fields), this.#path)),
    ColumnRef: (fields) => {
      const parts = strings(fields['fields'])
      return parts.length > 1 ? this.#attributes(parts.slice(1)) : null
    },
    A_Indirection: (fields) => this.#attributes(strings(fields['indirection'])),
    A_Expr: (fields) => this.#operators(operatorsOf(fields)),
    SortBy: (fields) => (fields['useOp'] === undefined ? null : this.#operators([strings(fields['useOp'])])),
    SubLink: (fields) => {
      if (fields['operName'] !== undefined) return this.#operators([strings(fields['operName'])])
      return fields['testexpr'] === undefined ? null : this.#operators(EQUALITY)
    },
    CaseExpr: (fields) => (fields['arg'] === undefined ? null : this.#operators(EQUALITY)),
    JoinExpr: (fields) =>
      fields['isNatural'] === undefined && fields['usingClause'] === undefined
        ? null
        : this.#operators(EQUALITY),
    TypeName: (fields) => this.#ask(this.#names.type(strings(fields['names']), this.#path)),
    RangeTableSample: (fields) =>
      this.#ask(this.#names.samplingMethod(strings(fields['method']), this.#path)),
    RangeVar: (fields, scope) => this.#relation(fields, scope),
  }

  #relation(fields: Fields, scope: Scope): Refusal | null {
    const { catalogname, schemaname, relname } = fields
    if (typeof relname !== 'string') return malformed('RangeVar')
    if (schemaname === undefined && isNamed(relname, scope)) return null
    const name = [catalogname, schemaname, relname].filter((part) => typeof part === 'string')
    const verdict = this.#names.relation(name, this.#path)
    this.#findings.relations.add(verdict.fullName)
    return this.#ask(verdict)
  }

  #attributes(list: readonly string[]): Refusal | null {
    for (const name of list) {
      const refused = this.#ask(this.#names.attribute(name, this.#path))
      if (refused) return refused
    }
    return null
  }

  #operators(list: readonly (readonly string[])[]): Refusal | null {
    for (const name of list) {
      const refused = this.#ask(this.#names.operator(name, this.#path))
      if (refused) return refused
    }
    return null
  }

  #ask(verdict: Verdict): Refusal | null {
    if (!verdict.vetted) this.#findings.leavesNothing = false
    return verdict.refusal
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const malformed = (what: string): Refusal =>
  refuseSql('sql.node', `${what} is not in the form that this parser gives`)

/** The texts of a list of `String` nodes; stars and subscripts are left out. */
function strings(list: unknown): string[] {
  if (!Array.isArray(list)) return []
  return list.flatMap((item: unknown) => {
    const text = isFields(item) && isFields(item['String']) ? item['String']['sval'] : undefined
    return typeof text === 'string' ? [text] : []
  })
}

const lengthOf = (list: unknown): number => (Array.isArray(list) ? list.length : 0)

/** Ordered-set aggregates count what stands in WITHIN GROUP (ORDER BY …) among their arguments. */
function argumentCount(fields: Fields): number {
  const ordered = fields['agg_within_group'] === true ? lengthOf(fields['agg_order']) : 0
  return lengthOf(fields['args']) + ordered
}

const EQUALITY = [['=']]
const BETWEEN_OPERATORS = [['>='], ['<='], ['<'], ['>']]

function operatorsOf(fields: Fields): readonly (readonly string[])[] {
  const kind = fields['kind']
  if (typeof kind === 'string' && kind.includes('BETWEEN')) return BETWEEN_OPERATORS
  return [strings(fields['name'])]
}
