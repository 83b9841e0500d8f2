import { err, ok, type Result } from '../lib/result.ts'
import type { Tool } from '../tools/tool.ts'
import {
  knowsAnnotations,
  knowsStructuredContent,
  type Revision,
  STATELESS_REVISION,
} from '../lib/revisions.ts'

const TOOLS_PER_PAGE = 100

/** How long a client may keep a list (2026-07-28 caching). Short: a grant may change, and not every client listens. */
const LIST_TTL_MS = 60_000

const LONGEST_CURSOR = 512

/**
 * Serialises one page of `tools/list`. A cursor names the last tool of the page before, so it stays good
 * while tools are added or removed elsewhere; one that names no tool of this caller is refused, and the
 * client starts over (2025-11-25 pagination, "Error Handling").
 *
 * @returns the JSON text of the result; the error is a sentence about the cursor
 */
export function listPage(
  tools: readonly Tool[],
  cursor: unknown,
  revision: Revision,
  serverMeta: string,
): Result<string, string> {
  const start = cursor === undefined ? 0 : startAfter(tools, cursor)
  if (start === undefined) return err('cursor is not one that tools/list gave: list again without it')
  const page = tools.slice(start, start + TOOLS_PER_PAGE)
  const last = page.at(-1)
  const next =
    last !== undefined && start + page.length < tools.length
      ? `,"nextCursor":"${Buffer.from(last.rule.name, 'utf8').toString('base64url')}"`
      : ''
  const body = `"tools":[${page.map((tool) => describe(tool, revision)).join(',')}]${next}`
  return ok(
    revision === STATELESS_REVISION
      ? `{"resultType":"complete",${body},"ttlMs":${LIST_TTL_MS},"cacheScope":"private","_meta":{${serverMeta}}}`
      : `{${body}}`,
  )
}

function startAfter(tools: readonly Tool[], cursor: unknown): number | undefined {
  if (typeof cursor !== 'string' || cursor.length > LONGEST_CURSOR) return undefined
  const name = Buffer.from(cursor, 'base64url').toString('utf8')
  const index = tools.findIndex((tool) => tool.rule.name === name)
  return index === -1 ? undefined : index + 1
}

/** Descriptions do not change while a tool lives, so each is written once per revision that differs. */
const described = new WeakMap<Tool, Map<string, string>>()

function describe(tool: Tool, revision: Revision): string {
  const shape = `${knowsAnnotations(revision)}${knowsStructuredContent(revision)}`
  let texts = described.get(tool)
  if (!texts) described.set(tool, (texts = new Map()))
  let text = texts.get(shape)
  if (text === undefined) texts.set(shape, (text = JSON.stringify(asRevision(tool, revision))))
  return text
}

function asRevision(tool: Tool, revision: Revision): Record<string, unknown> {
  const structured = knowsStructuredContent(revision)
  return {
    name: tool.rule.name,
    ...(structured ? { title: tool.title } : {}),
    description: tool.description,
    inputSchema: tool.inputSchema,
    ...(structured && tool.outputSchema !== undefined ? { outputSchema: tool.outputSchema } : {}),
    ...(knowsAnnotations(revision) ? { annotations: tool.annotations } : {}),
  }
}
