import type { Refusal } from '../../access/refusal.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { refuseAmongTenants } from './among-tenants.ts'
import { BoundedMemory } from './bounded-memory.ts'
import type { GateCatalogue } from './catalogue.ts'
import { judgeWrite } from './judge-write.ts'
import { CatalogueNames } from './names.ts'
import { openParser, type Parser } from './parse.ts'
import { refuseKind } from './refused-kind.ts'
import { READ_ONLY_MESSAGE, refuseSql } from './rules.ts'
import type { Findings } from './verdict.ts'
import { walkTree } from './walk.ts'

/** What the gate knows of one statement it lets through. Frozen, shared between requests. */
export interface Judged {
  /** Kind of the statement's own node, such as `SelectStmt`, `ExplainStmt`, `VariableShowStmt`. */
  readonly statement: string
  readonly access: 'read' | 'write'
  readonly explain: boolean
  /**
   * True when the syntax tree and the catalogue prove that nothing survives the statement: only plain
   * tables and views of them, only vetted functions, operators and types. Everything else needs the
   * careful way (a transaction that is rolled back, and a scrub).
   */
  readonly leavesNothing: boolean
  /** Changes the state of the session itself (SET, PREPARE, DECLARE…): runs only inside a named session. */
  readonly sessionState: boolean
  /** Relations the statement names, as `schema.name` where the catalogue knows them. */
  readonly relations: readonly string[]
  /** The text that was judged: what runs. */
  readonly sql: string
}

export interface JudgeOptions {
  /** Lets a single statement that is not a read through, as `access: 'write'`. For admins. */
  readonly writes?: boolean
}

export interface Gate {
  judge(sql: string, catalogue: GateCatalogue, options?: JudgeOptions): Result<Judged, Refusal>
}

type Judgement = Result<Judged, Refusal>

/** Judgements remembered, and the bytes of text they may keep alive. */
const REMEMBERED = 2_000
const REMEMBERED_CHARACTERS = 4_000_000

/** Options of EXPLAIN that only shape its report, and ANALYZE, which runs what was judged. */
const EXPLAIN_OPTIONS: ReadonlySet<string> = new Set([
  'analyze',
  'verbose',
  'costs',
  'settings',
  'generic_plan',
  'buffers',
  'serialize',
  'wal',
  'timing',
  'summary',
  'memory',
  'format',
])

/** Loads the parser (some 30 ms, once). Judging is synchronous: no statement waits behind another. */
export async function loadGate(): Promise<Gate> {
  return makeGate(await openParser())
}

export function makeGate(parser: Parser): Gate {
  const names = new WeakMap<GateCatalogue, CatalogueNames>()
  const remembered = new BoundedMemory<Judgement>(REMEMBERED, REMEMBERED_CHARACTERS)

  const namesOf = (catalogue: GateCatalogue): CatalogueNames => {
    let known = names.get(catalogue)
    if (!known) names.set(catalogue, (known = new CatalogueNames(catalogue, parser, walkTree)))
    return known
  }

  return {
    judge(sql, catalogue, options = {}) {
      const key = `${options.writes === true ? 'w' : 'r'}${catalogue.version}${sql}`
      const known = remembered.get(key)
      if (known) return known
      const judgement = judge(sql, parser, namesOf(catalogue), catalogue, options.writes === true)
      remembered.set(key, judgement)
      return judgement
    },
  }
}

function judge(
  sql: string,
  parser: Parser,
  names: CatalogueNames,
  catalogue: GateCatalogue,
  writes: boolean,
): Judgement {
  const parsed = parser.parse(sql)
  if (!parsed.ok) return parsed
  const statements = parsed.value.stmts ?? []
  if (statements.length > 1) {
    const what = `${statements.length} statements in one call: ${READ_ONLY_MESSAGE}, one at a time`
    return err(refuseSql('sql.one_statement', what))
  }
  const statement = statements[0]?.stmt as Readonly<Record<string, unknown>> | undefined
  const kind = Object.keys(statement ?? {})[0]
  if (statement === undefined || kind === undefined)
    return err(refuseSql('sql.empty', 'there is no statement in the text'))

  const shared = catalogue.tenants ? refuseAmongTenants(kind, statement) : null
  if (shared !== null) return err(shared)
  const findings: Findings = { leavesNothing: !names.hasHiddenCasts, relations: new Set() }
  const refused = judgeRead(statement, kind, names, catalogue, findings)
  const judged = (access: 'read' | 'write', leavesNothing: boolean, sessionState: boolean): Judgement =>
    ok(
      Object.freeze({
        statement: kind,
        access,
        explain: kind === 'ExplainStmt',
        leavesNothing,
        sessionState,
        relations: Object.freeze([...findings.relations]),
        sql,
      }),
    )
  if (!refused) return judged('read', findings.leavesNothing, false)
  if (!writes) return err(refused)
  const write = judgeWrite(kind, statement, names, catalogue.searchPath)
  if (!write.ok) return write
  for (const relation of write.value.relations) findings.relations.add(relation)
  return judged('write', false, write.value.sessionState)
}

/** The three statements that read: a query, the plan of a query, a setting. */
function judgeRead(
  statement: Readonly<Record<string, unknown>>,
  kind: string,
  names: CatalogueNames,
  catalogue: GateCatalogue,
  findings: Findings,
): Refusal | null {
  switch (kind) {
    case 'SelectStmt':
      return walkTree(statement, names, catalogue.searchPath, findings)
    case 'VariableShowStmt':
      return null
    case 'ExplainStmt': {
      const explain = statement[kind] as {
        query?: Readonly<Record<string, unknown>>
        options?: readonly { DefElem?: { defname?: string } }[]
      }
      for (const { DefElem: option } of explain.options ?? []) {
        if (!EXPLAIN_OPTIONS.has(option?.defname ?? ''))
          return refuseSql('sql.explain_option', `EXPLAIN option ${option?.defname ?? ''} is not known`, kind)
      }
      const inner = Object.keys(explain.query ?? {})[0]
      if (inner !== 'SelectStmt') {
        const what = `EXPLAIN of something that is not a read: ${READ_ONLY_MESSAGE}`
        return refuseSql('sql.explain', what, inner ?? kind)
      }
      return walkTree(explain.query, names, catalogue.searchPath, findings)
    }
    default:
      return refuseKind(kind)
  }
}
