import { levelIncludes, type ServerRule, type ToolRule } from '../../access/decide.ts'
import { type Level, LEVELS } from '../../identity/grant.ts'
import type { UpstreamRules } from '../../upstreams/options.ts'
import type { Hint } from './catalogue.ts'

/** Kept by name, so that a tool called often costs one look-up. Names are callers' text: their number is bounded. */
const MOST_KEPT = 1_024

/** The rules of one server in the form that `decide` takes. Pure: made of the configuration alone. */
export class ServerRules {
  readonly server: ServerRule
  readonly #rules: UpstreamRules
  readonly #filtered: ReadonlySet<string>
  readonly #own: ReadonlyMap<string, { readonly level: Level | null; readonly scopes: readonly string[] }>
  #use: ToolRule | undefined
  #content: ToolRule | undefined
  readonly #tools: Readonly<Record<Hint | 'unknown', Map<string, ToolRule>>> = {
    reads: new Map(),
    writes: new Map(),
    unknown: new Map(),
  }

  constructor(name: string, rules: UpstreamRules) {
    this.#rules = rules
    this.server = { server: name, authTokens: rules.authTokens }
    this.#filtered = new Set(rules.toolFilter?.tools)
    this.#own = new Map(Object.entries(rules.tools))
  }

  /** The rule of a tool, by the name that the server knows it by. */
  tool(name: string, hint: Hint | undefined): ToolRule {
    const kept = this.#tools[hint ?? 'unknown']
    let rule = kept.get(name)
    if (rule === undefined) {
      if (kept.size >= MOST_KEPT) kept.clear()
      kept.set(name, (rule = this.#toolRule(name, hint)))
    }
    return rule
  }

  /**
   * The rule of using the server at all: beginning a conversation, listing tools. Any level will do, and the scopes of
   * the server are needed. A server whose level is `admin` is kept for administrators as a whole, unless one
   * of its tools is open to others.
   */
  get use(): ToolRule {
    return (this.#use ??= this.#ruleOfLevel('use', this.#leastLevel() === 'admin' ? 'admin' : 'read-only'))
  }

  /** The rule of prompts, resources and completion: reading, or a server for administrators. */
  get content(): ToolRule {
    const level = this.#rules.level === 'admin' ? 'admin' : 'read-only'
    return (this.#content ??= this.#ruleOfLevel('content', level))
  }

  /** Whether a trusted hint of the tool could change its level. */
  heedsHintOf(name: string): boolean {
    return this.#rules.trustHints && (this.#own.get(name)?.level ?? null) === null
  }

  #toolRule(name: string, hint: Hint | undefined): ToolRule {
    const own = this.#own.get(name)
    return {
      ...this.server,
      name,
      level: own?.level ?? this.#levelBy(hint),
      scopes: own === undefined ? this.#rules.scopes : [...new Set([...this.#rules.scopes, ...own.scopes])],
      filteredOut: this.#isFilteredOut(name),
    }
  }

  /** A hint can lower a tool to reading; without a good one, a server that is believed says that it writes. */
  #levelBy(hint: Hint | undefined): Level {
    const { level, trustHints } = this.#rules
    if (!trustHints) return level
    if (hint === 'reads') return 'read-only'
    return levelIncludes(level, 'read-write') ? level : 'read-write'
  }

  #ruleOfLevel(name: string, level: Level): ToolRule {
    return { ...this.server, name, level, scopes: this.#rules.scopes }
  }

  /** The lowest level that any of its tools may have. */
  #leastLevel(): Level {
    const { level, trustHints } = this.#rules
    if (trustHints) return 'read-only'
    const levels = [level, ...[...this.#own.values()].flatMap((own) => own.level ?? [])]
    return LEVELS.find((one) => levels.includes(one)) ?? level
  }

  #isFilteredOut(name: string): boolean {
    const { toolFilter } = this.#rules
    if (toolFilter === null) return false
    return this.#filtered.has(name) === (toolFilter.mode === 'deny')
  }
}
