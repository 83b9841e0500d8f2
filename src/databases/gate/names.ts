import type { ParseResult } from 'libpg-query'
import type { Refusal } from '../../access/refusal.ts'
import {
  FIRST_USER_OID,
  type GateCatalogue,
  type GateFunction,
  type GateRelation,
  type GateType,
} from './catalogue.ts'
import type { Parser } from './parse.ts'
import { namedIn } from './named-in.ts'
import { plpgsqlQueries } from './plpgsql-queries.ts'
import { type GateRule, refuseSql } from './rules.ts'
import {
  isSamplingMethod,
  isTrustedExtension,
  whyExtensionFunctionRefused,
  whySystemFunctionRefused,
} from './system-functions.ts'
import { isReadableSystemRelation } from './system-relations.ts'
import { showsTenantsExtension, showsTenantsFunction, showsTenantsRelation } from './tenant-sight.ts'
import {
  type Findings,
  type Names,
  type QualifiedName,
  type SearchPath,
  TOLERATED,
  type Verdict,
  VETTED,
  type WalkTree,
  worst,
} from './verdict.ts'

const SYSTEM_SCHEMAS: ReadonlySet<string> = new Set(['pg_catalog', 'information_schema'])

/** Settings that a function may hold while it runs: they change how values look or how a plan is made. */
const HARMLESS_SETTING =
  /^(search_path|timezone|datestyle|intervalstyle|extra_float_digits|bytea_output|xmloption|work_mem|hash_mem_multiplier|enable_\w+|jit\w*|plan_cache_mode|random_page_cost|seq_page_cost|from_collapse_limit|join_collapse_limit|max_parallel_workers_per_gather|default_text_search_config|lc_\w+)$/i

/** Names of operators come from callers, who could invent them without end. */
const MOST_OPERATORS = 1_000

/** Stands for a verdict that is still being found. */
const PENDING: Verdict = { refusal: null, vetted: false }

interface ParsedFunction {
  readonly parameters?: readonly { FunctionParameter?: { argType?: unknown; defexpr?: unknown } }[]
  readonly returnType?: unknown
  readonly options?: readonly { DefElem?: { defname?: string; arg?: unknown } }[]
  readonly sql_body?: unknown
}

/**
 * Answers for one catalogue. What a view, a function, a domain is made of is judged the same way as a
 * statement, once, when it is first used.
 */
export class CatalogueNames implements Names {
  readonly #catalogue: GateCatalogue
  readonly #parser: Parser
  readonly #walk: WalkTree
  readonly #functions = new Map<number, Verdict>()
  readonly #parts = new Map<number, Verdict>()
  readonly #types = new Map<number, Verdict>()
  readonly #views = new Map<number, Verdict>()
  readonly #viewSights = new Map<number, Refusal | null>()
  readonly #operators = new Map<string, Verdict>()
  /** Functions of casts that people made, by the types they lead from or to. */
  readonly #casts = new Map<number, number[]>()
  /** Ways to forget the verdicts that are being found now, and whether one of them was asked for meanwhile. */
  readonly #open: (() => void)[] = []
  #sawCircle = false

  constructor(catalogue: GateCatalogue, parser: Parser, walk: WalkTree) {
    this.#catalogue = catalogue
    this.#parser = parser
    this.#walk = walk
    for (const { source, target, function: fn } of catalogue.casts) {
      if (fn === null) continue
      // A cast needs a value of its source and the mention of its target, or none for an implicit one. What
      // a person made of the two decides where it is looked for: no mention of int4 is a mention of all
      // types that can become one.
      const types = [source, target].filter((oid) => oid >= FIRST_USER_OID)
      for (const type of types.length > 0 ? types : [target]) {
        const known = this.#casts.get(type)
        if (known) known.push(fn)
        else this.#casts.set(type, [fn])
      }
    }
  }

  /** A cast between two of PostgreSQL's own types may run in any statement, unseen in its tree. */
  get hasHiddenCasts(): boolean {
    return this.#catalogue.casts.some(
      ({ source, target, function: fn }) => fn !== null && source < FIRST_USER_OID && target < FIRST_USER_OID,
    )
  }

  function(name: QualifiedName, argumentCount: number, path: SearchPath): Verdict {
    const all = inSchemas(this.#catalogue.functions, name, path)
    const candidates = all.filter(
      (fn) => fn.leastArguments <= argumentCount && argumentCount <= fn.mostArguments,
    )
    // `regclass('orders')` is a cast.
    const types = argumentCount === 1 ? inSchemas(this.#catalogue.types, name, path) : []
    if (candidates.length === 0 && types.length === 0) {
      const what =
        all.length > 0
          ? `function ${name.join('.')} does not take ${argumentCount} argument${argumentCount === 1 ? '' : 's'}`
          : `function ${name.join('.')} is not known in this database`
      return { refusal: refuseSql('sql.function_unknown', what, 'FuncCall'), vetted: false }
    }
    return worst([...candidates.map((fn) => this.#function(fn)), ...types.map((type) => this.#type(type))])
  }

  attribute(name: string, path: SearchPath): Verdict {
    const calls = inSchemas(this.#catalogue.functions, [name], path).filter(
      (fn) => fn.takesRow && !fn.plumbing && fn.leastArguments <= 1 && fn.mostArguments >= 1,
    )
    return worst(calls.map((fn) => this.#function(fn)))
  }

  /** `=` alone has sixty overloads: what was found for a name in the session's search path is kept. */
  operator(name: QualifiedName, path: SearchPath): Verdict {
    const key = path === this.#catalogue.searchPath ? name.join('\0') : undefined
    const known = key === undefined ? undefined : this.#operators.get(key)
    if (known) return known
    const verdict = this.#judgeOperator(name, path)
    // Inside a circle of definitions the verdict may rest on an assumption.
    if (key !== undefined && this.#open.length === 0 && this.#operators.size < MOST_OPERATORS)
      this.#operators.set(key, verdict)
    return verdict
  }

  #judgeOperator(name: QualifiedName, path: SearchPath): Verdict {
    const candidates = inSchemas(this.#catalogue.operators, name, path)
    if (candidates.length === 0) {
      const what = `operator ${name.join('.')} is not known in this database`
      return { refusal: refuseSql('sql.function_unknown', what, 'A_Expr'), vetted: false }
    }
    const verdict = worst(candidates.flatMap(({ functions }) => functions.map((oid) => this.#part(oid))))
    return within(verdict, 'sql.operator', `operator ${name.join('.')}`)
  }

  type(name: QualifiedName, path: SearchPath): Verdict {
    const candidates = inSchemas(this.#catalogue.types, name, path)
    return candidates.length === 0 ? TOLERATED : worst(candidates.map((type) => this.#type(type)))
  }

  samplingMethod(name: QualifiedName, path: SearchPath): Verdict {
    const candidates = inSchemas(this.#catalogue.functions, name, path)
    if (candidates.length > 0 && candidates.every(isSamplingMethod)) return VETTED
    const what = `sampling method ${name.join('.')} is not one that the gate knows`
    return { refusal: refuseSql('sql.function', what, 'RangeTableSample'), vetted: false }
  }

  sight(kind: 'relation' | 'function', name: QualifiedName, path: SearchPath): Refusal | null {
    if (!this.#catalogue.tenants) return null
    return kind === 'relation'
      ? first(inSchemas(this.#catalogue.relations, name, path), (found) => this.#relationSight(found))
      : first(inSchemas(this.#catalogue.functions, name, path), (found) => this.#functionSight(found))
  }

  /** A view shows what it is made of, whoever made it. */
  #relationSight(relation: GateRelation): Refusal | null {
    if (showsTenantsRelation(relation.schema, relation.name)) return refuseSight('relation', relation)
    const { definition, oid } = relation
    if (definition === null || oid < FIRST_USER_OID) return null
    return this.#remember(this.#viewSights, oid, () => {
      const parsed = this.#parser.parse(definition)
      if (!parsed.ok) return null
      return first(namedIn(parsed.value), ({ kind, name }) =>
        this.sight(kind, name, this.#catalogue.searchPath),
      )
    })
  }

  /** So does a function that the gate can read. */
  #functionSight(fn: GateFunction): Refusal | null {
    if (showsTenantsFunction(fn.schema, fn.name) || showsTenantsExtension(fn.extension))
      return refuseSight('function', fn)
    const { definition, oid } = fn
    if (definition === null || oid < FIRST_USER_OID) return null
    const { refusal } = this.#function(fn)
    return refusal?.rule === 'sql.tenants' ? refusal : null
  }

  #remember(memory: Map<number, Refusal | null>, oid: number, find: () => Refusal | null): Refusal | null {
    const known = memory.get(oid)
    if (known !== undefined) return known
    // A view that leads back to itself through a function shows no more than the rest of it.
    memory.set(oid, null)
    const found = find()
    memory.set(oid, found)
    return found
  }

  relation(name: QualifiedName, path: SearchPath): Verdict & { readonly fullName: string } {
    const relation = inSchemas(this.#catalogue.relations, name, path)[0]
    const schema = relation?.schema ?? (name.length > 1 ? name.at(-2) : undefined)
    const bare = name.at(-1) ?? ''
    const fullName = schema === undefined ? bare : `${schema}.${bare}`
    const isSystem = relation !== undefined && relation.oid < FIRST_USER_OID
    if (isSystem || (schema !== undefined && (SYSTEM_SCHEMAS.has(schema) || schema.startsWith('pg_toast')))) {
      if (isSystem && this.#catalogue.tenants && showsTenantsRelation(relation.schema, bare))
        return { refusal: refuseSight('relation', relation), vetted: false, fullName }
      if (isSystem && isReadableSystemRelation(relation.schema, bare)) return { ...VETTED, fullName }
      const what = `${fullName} may hold secrets or what other sessions do`
      return { refusal: refuseSql('sql.relation', what, 'RangeVar'), vetted: false, fullName }
    }
    // PostgreSQL says that it does not exist, or it is newer than the catalogue, or temporary.
    if (!relation) return { ...TOLERATED, fullName }
    return { ...this.#relation(relation), fullName }
  }

  #relation(relation: GateRelation): Verdict {
    if (relation.kind === 'v') return this.#view(relation)
    const columns = worst(relation.columnTypes.map((oid) => this.#typeByOid(oid)))
    const plain = relation.plain && !relation.rowSecurity && columns.vetted && columns.refusal === null
    return plain ? VETTED : TOLERATED
  }

  #view(view: GateRelation): Verdict {
    return this.#once(this.#views, view.oid, () =>
      within(
        view.definition === null
          ? { refusal: refuseSql('sql.view', 'its definition cannot be read'), vetted: false }
          : this.#query(view.definition, this.#catalogue.searchPath),
        'sql.view',
        `view ${view.schema}.${view.name}`,
      ),
    )
  }

  #function(fn: GateFunction): Verdict {
    return this.#once(this.#functions, fn.oid, () => this.#judgeFunction(fn, fn))
  }

  /** A function that PostgreSQL calls for an aggregate, operator, cast or range: it may take `internal`. */
  #part(oid: number): Verdict {
    const fn = this.#catalogue.functionsByOid.get(oid)
    if (!fn) return refuseFunction('sql.function_unknown', `function ${oid}`, 'is not known')
    return this.#once(this.#parts, oid, () => this.#judgeFunction(fn, { ...fn, plumbing: false }))
  }

  #judgeFunction(original: GateFunction, fn: GateFunction): Verdict {
    const label = `function ${fn.schema}.${fn.name}`
    if (fn.oid < FIRST_USER_OID && SYSTEM_SCHEMAS.has(fn.schema)) {
      if (this.#catalogue.tenants && showsTenantsFunction(fn.schema, fn.name))
        return { refusal: refuseSight('function', fn), vetted: false }
      const why = whySystemFunctionRefused(fn)
      return why === null ? VETTED : refuseFunction('sql.function', label, why)
    }
    if (fn.kind === 'p') return refuseFunction('sql.function', label, 'is a procedure')
    // The one function that runs as its owner and that was looked over: it answers with the caller's own tenant.
    if (fn.schema === this.#catalogue.ownSchema && fn.name === 'tenant' && fn.mostArguments === 0)
      return VETTED
    if (fn.securityDefiner)
      return refuseFunction(
        'sql.function',
        label,
        'is SECURITY DEFINER: it runs with the rights of its owner',
      )
    if (fn.kind === 'a') {
      const verdict = worst(fn.parts.map((oid) => this.#part(oid)))
      return within(verdict, 'sql.function', label)
    }
    if (fn.language === 'c' || fn.language === 'internal') {
      const why = whyExtensionFunctionRefused(fn)
      return why === null ? VETTED : refuseFunction('sql.function', label, why)
    }
    if (fn.volatility === 'v') return refuseFunction('sql.function', label, 'is VOLATILE: it may change data')
    const setting = fn.settings.find((entry) => !HARMLESS_SETTING.test(entry.split('=')[0] ?? ''))
    if (setting !== undefined)
      return refuseFunction('sql.function', label, `sets ${setting.split('=')[0]} while it runs`)
    if (original.definition === null)
      return refuseFunction('sql.function', label, `is written in ${fn.language}, which the gate cannot read`)
    return within(this.#body(original, original.definition), 'sql.function', label)
  }

  #body(fn: GateFunction, definition: string): Verdict {
    const session = this.#catalogue.searchPath
    const parsed = this.#parser.parse(definition)
    if (!parsed.ok) return { refusal: parsed.error, vetted: false }
    const create = statementOf(parsed.value, 'CreateFunctionStmt') as ParsedFunction | undefined
    if (!create) return unreadable()
    const trees: unknown[] = []
    if (create.returnType !== undefined) trees.push({ TypeName: create.returnType })
    for (const { FunctionParameter: parameter } of create.parameters ?? []) {
      if (parameter?.argType !== undefined) trees.push({ TypeName: parameter.argType })
      if (parameter?.defexpr !== undefined) trees.push(parameter.defexpr)
    }
    if (create.sql_body !== undefined) trees.push(...bodyTrees(create.sql_body))
    const header = worst(trees.map((tree) => this.#tree(tree, session)))
    if (header.refusal) return header

    const path = searchPathOf(fn, session)
    if (fn.language === 'plpgsql') {
      const queries = plpgsqlQueries(this.#parser, definition)
      if (!queries)
        return {
          refusal: refuseSql(
            'sql.function',
            'runs SQL that is put together only when it runs, or more than reads',
          ),
          vetted: false,
        }
      const verdict = worst(queries.map((query) => this.#query(query, path)))
      return verdict.refusal ? verdict : TOLERATED
    }
    const source = create.options?.find(({ DefElem: option }) => option?.defname === 'as')?.DefElem?.arg
    if (source !== undefined) {
      const text = firstString(source)
      if (text === undefined) return unreadable()
      const verdict = this.#statements(text, path)
      if (verdict.refusal) return verdict
    } else if (create.sql_body === undefined) return unreadable()
    return TOLERATED
  }

  /** The statements of a function written as a string: each must be a read. */
  #statements(sql: string, path: SearchPath): Verdict {
    const parsed = this.#parser.parse(sql)
    if (!parsed.ok) return { refusal: parsed.error, vetted: false }
    return worst((parsed.value.stmts ?? []).map(({ stmt }) => this.#tree(stmt, path)))
  }

  #query(sql: string, path: SearchPath): Verdict {
    const parsed = this.#parser.parse(sql)
    if (!parsed.ok) return { refusal: parsed.error, vetted: false }
    const statements = parsed.value.stmts ?? []
    return statements.length === 1 ? this.#tree(statements[0]?.stmt, path) : unreadable()
  }

  #tree(tree: unknown, path: SearchPath): Verdict {
    const findings: Findings = { leavesNothing: true, relations: new Set() }
    const refusal = this.#walk(tree, this, path, findings)
    return { refusal, vetted: refusal === null && findings.leavesNothing }
  }

  #typeByOid(oid: number): Verdict {
    const type = this.#catalogue.typesByOid.get(oid)
    return type ? this.#type(type) : TOLERATED
  }

  #type(type: GateType): Verdict {
    return this.#once(this.#types, type.oid, () => {
      const casts = (this.#casts.get(type.oid) ?? []).map((oid) => this.#part(oid))
      if (type.oid < FIRST_USER_OID) return within(worst(casts), 'sql.type', `type ${type.name}`)
      const own =
        (type.kind === 'b' && type.madeOf.length === 0 && !isTrustedExtension(type.extension)) ||
        type.kind === 'p'
          ? TOLERATED
          : VETTED
      const verdict = worst([
        own,
        ...casts,
        ...type.functions.map((oid) => this.#part(oid)),
        ...type.madeOf.map((oid) => this.#typeByOid(oid)),
        ...type.checks.map((check) => this.#query(`SELECT ${check}`, this.#catalogue.searchPath)),
      ])
      return within(verdict, 'sql.type', `type ${type.schema}.${type.name}`)
    })
  }

  /**
   * Remembers. While a verdict is being found, the object itself counts as harmless: the rest of it
   * decides. What was found inside such a circle rests on that assumption, so only refusals and the
   * outermost verdict, which has seen everything, are kept.
   */
  #once(memory: Map<number, Verdict>, oid: number, find: () => Verdict): Verdict {
    const known = memory.get(oid)
    if (known) {
      if (known === PENDING) this.#sawCircle = true
      return known
    }
    const outermost = this.#open.length === 0
    this.#open.push(() => {
      if (memory.get(oid)?.refusal === null) memory.delete(oid)
    })
    memory.set(oid, PENDING)
    let verdict: Verdict
    try {
      verdict = find()
    } catch (fault) {
      memory.delete(oid)
      if (outermost) this.#open.length = 0
      throw fault
    }
    memory.set(oid, verdict)
    if (outermost) {
      if (this.#sawCircle) for (const forget of this.#open) forget()
      this.#open.length = 0
      this.#sawCircle = false
      memory.set(oid, verdict)
    }
    return verdict
  }
}

/** Everything of that name in the schema it names, otherwise in the search path, first schema first. */
function inSchemas<T extends { readonly schema: string }>(
  index: ReadonlyMap<string, readonly T[]>,
  name: QualifiedName,
  path: SearchPath,
): readonly T[] {
  const found = index.get(name.at(-1) ?? '') ?? []
  const schema = name.at(-2)
  if (schema !== undefined) return found.filter((item) => item.schema === schema)
  return path.flatMap((where) => found.filter((item) => item.schema === where))
}

/** The first refusal that is found among them. */
function first<T>(items: Iterable<T>, find: (item: T) => Refusal | null): Refusal | null {
  for (const item of items) {
    const refused = find(item)
    if (refused !== null) return refused
  }
  return null
}

/** Says where inside the object the refusal comes from. */
function within(verdict: Verdict, rule: GateRule, label: string): Verdict {
  if (!verdict.refusal) return verdict
  const { message, node, rule: inner } = verdict.refusal
  // What shows other tenants is refused by that rule however deep it lies: to administrators, too.
  const kept = inner === 'sql.tenants' ? inner : rule
  return { refusal: refuseSql(kept, `${label}: ${message}`, node), vetted: false }
}

const refuseFunction = (rule: GateRule, label: string, why: string): Verdict => ({
  refusal: refuseSql(rule, `${label} ${why}`, 'FuncCall'),
  vetted: false,
})

const refuseSight = (
  kind: 'relation' | 'function',
  { schema, name }: { readonly schema: string; readonly name: string },
): Refusal =>
  refuseSql(
    'sql.tenants',
    `${schema}.${name} shows what other tenants of this database do`,
    kind === 'relation' ? 'RangeVar' : 'FuncCall',
  )

const unreadable = (): Verdict => ({
  refusal: refuseSql('sql.function', 'its definition cannot be read'),
  vetted: false,
})

function statementOf(tree: ParseResult, kind: string): unknown {
  const statement = tree.stmts?.length === 1 ? tree.stmts[0]?.stmt : undefined
  return statement && kind in statement ? (statement as Record<string, unknown>)[kind] : undefined
}

/** `RETURN expression`, or `BEGIN ATOMIC statement; … END`, which arrives as a list in a list. */
function bodyTrees(body: unknown): unknown[] {
  const node = body as { ReturnStmt?: { returnval?: unknown }; List?: { items?: readonly unknown[] } }
  if (node.ReturnStmt) return [node.ReturnStmt.returnval ?? {}]
  if (node.List) return (node.List.items ?? []).flatMap(bodyTrees)
  return [body]
}

function firstString(argument: unknown): string | undefined {
  const items = (argument as { List?: { items?: readonly { String?: { sval?: string } }[] } }).List?.items
  return items?.length === 1 ? items[0]?.String?.sval : undefined
}

/** The search path inside a function that sets its own. */
function searchPathOf(fn: GateFunction, session: SearchPath): SearchPath {
  const setting = fn.settings.find((entry) => /^search_path=/i.test(entry))
  if (setting === undefined) return session
  const own = setting
    .slice(setting.indexOf('=') + 1)
    .split(',')
    .map((part) =>
      part
        .trim()
        .replace(/^"(.*)"$/, '$1')
        .replaceAll('""', '"'),
    )
    .flatMap((schema) => (schema === '$user' ? session : [schema]))
    .filter((schema) => schema !== '')
  return own.includes('pg_catalog') ? own : ['pg_catalog', ...own]
}
