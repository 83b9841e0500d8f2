import { isObject, type Params } from '../../lib/json-rpc.ts'

/** What a tool says it does: `readOnlyHint` without `destructiveHint`, or anything else. */
export type Hint = 'reads' | 'writes'

/** Names of tools are short (2025-11-25 tools, "Tool Names"); a longer one is no name. */
export const LONGEST_TOOL_NAME = 256

/** More are still offered and called, but not remembered. */
const MOST_TOOLS = 10_000

/**
 * What one server said of its tools, whoever asked. A server can tell each credential something else, so the
 * strictest word holds: a tool reads only if every list since the last change said so.
 */
export class Catalogue {
  readonly #hints = new Map<string, Hint>()

  /** The number of tools known by name. */
  get size(): number {
    return this.#hints.size
  }

  names(): Iterable<string> {
    return this.#hints.keys()
  }

  knows(name: string): boolean {
    return this.#hints.has(name)
  }

  hint(name: string): Hint | undefined {
    return this.#hints.get(name)
  }

  learn(tools: readonly Params[]): void {
    for (const tool of tools) {
      const name = nameOf(tool)
      if (name === undefined) continue
      const said = hintOf(tool)
      const before = this.#hints.get(name)
      if (before === undefined && this.#hints.size >= MOST_TOOLS) continue
      if (before !== 'writes') this.#hints.set(name, said)
    }
  }

  /** The tools changed: what was said of them no longer holds. */
  forget(): void {
    this.#hints.clear()
  }
}

/** Servers that trim a name, or end it at a NUL, would take it for another one than the rules did. */
const TOOL_NAME = /^(?!\s)[^\p{Cc}]+(?<!\s)$/u

/** The name of a tool; undefined for what is none. */
export function nameOf({ name }: Params): string | undefined {
  return typeof name === 'string' && name.length <= LONGEST_TOOL_NAME && TOOL_NAME.test(name)
    ? name
    : undefined
}

/** The defaults of 2025-11-25 `ToolAnnotations`: without a word, a tool writes and destroys. */
function hintOf({ annotations }: Params): Hint {
  if (!isObject(annotations)) return 'writes'
  return annotations['readOnlyHint'] === true && annotations['destructiveHint'] !== true ? 'reads' : 'writes'
}
