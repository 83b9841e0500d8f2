import type { Caller } from '../identity/caller.ts'
import type { Pipeline } from '../tools/call.ts'
import type { Tool } from '../tools/tool.ts'

/**
 * The tools of a caller by name, for checks on the request that need a tool's schema. It decides nothing:
 * the pipeline does, on every call anew. A caller is the same frozen object while its grant stays the same.
 */
export class VisibleTools {
  readonly #pipeline: Pipeline
  #byCaller = new WeakMap<Caller, ReadonlyMap<string, Tool>>()

  constructor(pipeline: Pipeline) {
    this.#pipeline = pipeline
  }

  find(caller: Caller, name: string): Tool | undefined {
    let byName = this.#byCaller.get(caller)
    if (!byName) {
      byName = new Map(this.#pipeline.list(caller).map((tool) => [tool.rule.name, tool]))
      this.#byCaller.set(caller, byName)
    }
    return byName.get(name)
  }

  /** To be called when there are other tools than before. */
  forget(): void {
    this.#byCaller = new WeakMap()
  }
}
