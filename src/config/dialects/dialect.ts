import type { MapNode } from '../node.ts'
import type { Report } from '../problem.ts'
import type { Environment } from '../references.ts'

/** One foreign shape of configuration, told by its keys and turned into the native one. */
export interface Dialect {
  readonly name: string
  /** Whether the file is written in this shape. The native shape has been ruled out. */
  recognises(root: MapNode): boolean
  /** The shape's own way to name environment variables turned into `$env:`, before these are looked up. */
  prepare?(root: MapNode, report: Report): MapNode
  /**
   * The same in native keys. Values keep the position and the path they were written with, so that every
   * later message points into the foreign file. What has no equivalent becomes a warning, each by name.
   */
  translate(root: MapNode, context: DialectContext): MapNode
}

export interface DialectContext {
  readonly report: Report
  readonly env: Environment
}
