/** One statement of a plan. */
export interface PlannedStatement {
  readonly sql: string
  /** Why it is there: one line. */
  readonly why: string
}

/** Something that whoever runs the plan has to know, or to do by hand. */
export interface PlanWarning {
  readonly code: WarningCode
  readonly message: string
  /** What it is about: relations, functions, roles. */
  readonly about: readonly string[]
}

export const WARNING_CODES = [
  'public_access',
  'schema_create',
  'definer_function',
  'own_policies',
  'view_left_out',
  'never_granted',
  'no_column',
  'tenant_value',
  'owner_copy',
  'foreign_key',
  'unique_key',
  'role_kept',
] as const

export type WarningCode = (typeof WARNING_CODES)[number]

/** Statements for one transaction, in this order. */
export interface ProtectionPlan {
  readonly statements: readonly PlannedStatement[]
  readonly warnings: readonly PlanWarning[]
}

/** What stands in the way of a plan, each a sentence. */
export type PlanProblems = readonly string[]
