import { levelIncludes, type ServerRule, type ToolRule } from '../../access/decide.ts'
import type { Level } from '../../identity/grant.ts'
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
  readonly #methods = new Map<string, ToolRule>()
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
   * The rule of what is no tool call: prompts, resources, completion, lists, subscriptions. All of it reads, so
   * any level will do, and the scopes of the server are needed. A server whose level is `admin` is kept for
   * administrators as a whole.
   */
  method(name: string): ToolRule {
    let rule = this.#methods.get(name)
    if (rule === undefined) {
      const { scopes, level } = this.#rules
      rule = { ...this.server, name, level: level === 'admin' ? 'admin' : 'read-only', scopes }
      this.#methods.set(name, rule)
    }
    return rule
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

  #isFilteredOut(name: string): boolean {
    const { toolFilter } = this.#rules
    if (toolFilter === null) return false
    return this.#filtered.has(name) === (toolFilter.mode === 'deny')
  }
}
