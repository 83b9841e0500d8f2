import type { Where } from './node.ts'
import type { Report } from './problem.ts'

/** A file has no reason to hold more values than this: aliases cannot be used to multiply it (YAML bombs). */
export const MOST_NODES = 20_000

/** Deeper than any key is. */
export const DEEPEST = 32

/** Counts the values of a file while it is read and stops at the bounds, telling about it once. */
export class Growth {
  readonly #report: Report
  #nodes = 0
  #stopped = false

  constructor(report: Report) {
    this.#report = report
  }

  /** Whether one more value at this depth is within bounds. */
  admits(depth: number, where: Where): boolean {
    if (this.#stopped) return false
    this.#nodes += 1
    if (depth <= DEEPEST && this.#nodes <= MOST_NODES) return true
    this.#stopped = true
    this.#report.problem(
      'config_too_large',
      { where, path: '' },
      depth > DEEPEST ? `nests deeper than ${DEEPEST} levels` : `holds more than ${MOST_NODES} values`,
    )
    return false
  }
}
