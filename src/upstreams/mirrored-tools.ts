import { isObject, type Params } from '../lib/json-rpc.ts'
import { type MirroredParam, mirroredParams } from './mirrored-headers.ts'

/** More tools than this that want headers are offered, and called without. */
const MOST_TOOLS = 1_000

/** The tools of one conversation that want arguments in headers, as they were last listed. */
export class MirroredTools {
  readonly #byName = new Map<string, readonly MirroredParam[]>()

  of(name: unknown): readonly MirroredParam[] {
    return (typeof name === 'string' ? this.#byName.get(name) : undefined) ?? NONE
  }

  /**
   * Remembers what a `tools/list` result says. Tools whose annotations break the rules are left out (2026-07-28
   * streamable HTTP, "Schema Extension").
   */
  learn(result: Params): Params {
    const { tools } = result
    if (!Array.isArray(tools)) return result
    const kept = (tools as unknown[]).filter((tool) => {
      if (!isObject(tool) || typeof tool['name'] !== 'string') return true
      const mirrored = mirroredParams(tool['inputSchema'])
      this.#byName.delete(tool['name'])
      if (mirrored && mirrored.length > 0 && this.#byName.size < MOST_TOOLS) {
        this.#byName.set(tool['name'], mirrored)
      }
      return mirrored !== undefined
    })
    return kept.length === tools.length ? result : { ...result, tools: kept }
  }
}

const NONE: readonly MirroredParam[] = []
