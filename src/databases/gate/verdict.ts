import type { Refusal } from '../../access/refusal.ts'

/** What the catalogue says of one name. */
export interface Verdict {
  readonly refusal: Refusal | null
  /** Nothing survives its use: PostgreSQL's own, or made only of what is. */
  readonly vetted: boolean
}

export const VETTED: Verdict = { refusal: null, vetted: true }
export const TOLERATED: Verdict = { refusal: null, vetted: false }

/** The first refusal, and vetted only when all are: argument types are not resolved, so the worst overload decides. */
export function worst(verdicts: Iterable<Verdict>): Verdict {
  let vetted = true
  for (const verdict of verdicts) {
    if (verdict.refusal) return verdict
    vetted &&= verdict.vetted
  }
  return vetted ? VETTED : TOLERATED
}

/** Schemas in the order in which an unqualified name is looked up. */
export type SearchPath = readonly string[]

/** A name as written: `[name]`, `[schema, name]` or `[database, schema, name]`. */
export type QualifiedName = readonly string[]

/** What the tree walker asks of the catalogue. */
export interface Names {
  function(name: QualifiedName, argumentCount: number, path: SearchPath): Verdict
  /** `row.name`: a column, or a function of the row. */
  attribute(name: string, path: SearchPath): Verdict
  operator(name: QualifiedName, path: SearchPath): Verdict
  type(name: QualifiedName, path: SearchPath): Verdict
  samplingMethod(name: QualifiedName, path: SearchPath): Verdict
  /** Refused for everybody, admins included, because it shows one tenant to another; `null` when it does not. */
  sight(kind: 'relation' | 'function', name: QualifiedName, path: SearchPath): Refusal | null
  relation(name: QualifiedName, path: SearchPath): Verdict & { readonly fullName: string }
}

/** What walking a tree found, besides a refusal. */
export interface Findings {
  leavesNothing: boolean
  readonly relations: Set<string>
}

/** Judges one syntax tree: the node with its wrapper, `{ SelectStmt: {…} }`. */
export type WalkTree = (tree: unknown, names: Names, path: SearchPath, findings: Findings) => Refusal | null
