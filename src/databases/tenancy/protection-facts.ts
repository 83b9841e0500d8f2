/** What a plan needs to know of a database. Read by `readProtectionFacts`; plans are made of these values alone. */
export interface ProtectionFacts {
  /** `server_version_num`: 180000 is PostgreSQL 18. */
  readonly version: number
  readonly database: string
  /** The schema of our own: `foreign` when somebody else has one of that name. */
  readonly ownSchema: 'absent' | 'ours' | 'foreign'
  readonly relations: readonly RelationFacts[]
  readonly schemas: readonly SchemaFacts[]
  readonly connect: readonly string[]
  /** Roles of ours that are there: the groups, and those of tenants, also of tenants that nobody asked for. */
  readonly roles: readonly RoleFacts[]
  /** Functions that run as their owner and that PUBLIC may call. */
  readonly definers: readonly DefinerFacts[]
  /** Names of roles in our table. */
  readonly recorded: readonly string[]
  /** How many relations in our table are gone. */
  readonly vanished: number
}

export type RelationKind = 'table' | 'view' | 'materialized view' | 'foreign table'

export interface RelationFacts {
  readonly oid: string
  readonly schema: string
  readonly name: string
  readonly kind: RelationKind
  /** A partition: reached through its parent. */
  readonly partition: boolean
  readonly owner: string
  /** The owner is a superuser or has BYPASSRLS: row security does not hold where it acts. */
  readonly ownerBypasses: boolean
  readonly rowSecurity: boolean
  readonly forced: boolean
  /** Of the columns, those that may hold the tenant. */
  readonly columns: readonly ColumnFacts[]
  readonly policies: readonly { readonly name: string; readonly permissive: boolean }[]
  /** The option `security_invoker` of a view as it is written; `null` when it is not set. */
  readonly invoker: string | null
  /** Tables that this one is a partition or a child of. */
  readonly parents: readonly string[]
  /** What a view reads. */
  readonly reads: readonly string[]
  /** Roles that may read this view, and not all of what it reads. */
  readonly stranded: readonly string[]
  /** What PUBLIC may do with it, on any of its columns. */
  readonly publicMay: readonly string[]
  /** Which of our groups were granted something on it. */
  readonly groups: readonly string[]
  readonly uniqueKeys: readonly KeyFacts[]
  readonly foreignKeys: readonly (KeyFacts & { readonly target: string })[]
  /** Sequences that a DEFAULT of it takes numbers from; those of identity columns need no grant. */
  readonly sequences: readonly SequenceFacts[]
  readonly note: ProtectionNote | null
}

export interface ColumnFacts {
  readonly name: string
  /** The type below all domains, as `pg_type` names it. */
  readonly type: string
  /** Whether its collation takes different texts for equal. */
  readonly loose: boolean
}

export interface KeyFacts {
  readonly name: string
  readonly columns: readonly string[]
}

export interface SequenceFacts {
  readonly schema: string
  readonly name: string
  readonly groups: readonly string[]
}

/** What our table says of a relation, and how it was before. */
export interface ProtectionNote {
  readonly kind: 'tenant' | 'shared' | 'view'
  readonly column: string | null
  readonly rowSecurity: boolean
  readonly forced: boolean
  readonly invoker: string | null
}

export interface SchemaFacts {
  readonly name: string
  readonly publicMay: readonly string[]
  readonly groups: readonly string[]
}

export interface RoleFacts {
  readonly name: string
  readonly login: boolean
  /** Attributes that a role of ours must not have, in words of SQL: `SUPERUSER`, `BYPASSRLS`. */
  readonly powers: readonly string[]
  readonly memberOf: readonly string[]
  /** Settings of its own, which whoever logs in as it can leave behind. */
  readonly settings: boolean
  /** Objects of this database that it owns. */
  readonly owns: number
  /** Somebody has granted it something here, or named it in a policy: a tenant can do that with what is its own. */
  readonly holds: boolean
  /** Objects of other databases, and other databases, that depend on it. */
  readonly elsewhere: number
}

export interface DefinerFacts {
  readonly schema: string
  readonly name: string
  readonly arguments: string
  readonly owner: string
  readonly ownerBypasses: boolean
}
