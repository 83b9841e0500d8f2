import { entryOf, type MapNode } from '../node.ts'
import type { Dialect } from './dialect.ts'
import { mcpClient } from './mcp-client.ts'
import { mcpFront } from './mcp-front.ts'
import { pgedge } from './pgedge.ts'

/** The one with the most general keys comes last. */
const DIALECTS: readonly Dialect[] = [pgedge, mcpFront, mcpClient]

/** The foreign shape a file is written in; `undefined` for the native one. */
export function dialectOf(root: MapNode, nativeOnlyKeys: readonly string[]): Dialect | undefined {
  // One native key is enough: a mixed file is a native one with mistakes, and each gets its line.
  if (nativeOnlyKeys.some((key) => entryOf(root, key) !== undefined)) return undefined
  return DIALECTS.find((dialect) => dialect.recognises(root))
}
