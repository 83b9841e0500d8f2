import type { Refusal } from '../access/refusal.ts'
import type { ToolResult } from '../tools/tool.ts'
import { knowsStructuredContent, type Revision, STATELESS_REVISION } from '../lib/revisions.ts'

/** Under this key of `_meta` a refused call carries its refusal for programs; the text is for models. */
export const REFUSAL_META_KEY = 'postern/refusal'

type Done = Extract<ToolResult, { outcome: 'done' }>

/**
 * Serialises the `CallToolResult` of a call that was done, without what the revision does not know.
 *
 * @param serverMeta JSON text of the `_meta` member that identifies this server on stateless results
 */
export function doneResult(result: Done, revision: Revision, serverMeta: string): string {
  const structured =
    result.structured !== undefined && knowsStructuredContent(revision)
      ? `,"structuredContent":${JSON.stringify(result.structured)}`
      : ''
  const content = `"content":${JSON.stringify(result.content)}${structured}`
  return revision === STATELESS_REVISION
    ? `{"resultType":"complete",${content},"_meta":{${serverMeta}}}`
    : `{${content}}`
}

/** Serialises a refused call: a sentence that says what was refused, by which rule, and what is allowed. */
export function refusedResult(reason: Refusal, revision: Revision, serverMeta: string): string {
  const content = `"content":${JSON.stringify([{ type: 'text', text: refusalText(reason) }])},"isError":true`
  const meta = `"${REFUSAL_META_KEY}":${JSON.stringify(reason)}`
  return revision === STATELESS_REVISION
    ? `{"resultType":"complete",${content},"_meta":{${serverMeta},${meta}}}`
    : `{${content},"_meta":{${meta}}}`
}

function refusalText(reason: Refusal): string {
  const lines = [`Refused: ${reason.message}`, `Rule: ${reason.rule}`]
  if (reason.allowed !== undefined) lines.push(`Allowed: ${reason.allowed}`)
  if (reason.scopes !== undefined) lines.push(`Scopes needed: ${reason.scopes.join(' ')}`)
  return lines.join('\n')
}
