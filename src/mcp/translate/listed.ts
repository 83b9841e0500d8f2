import { isObject, type Params } from '../../lib/json-rpc.ts'
import type { Revision } from '../../lib/revisions.ts'
import { lessLastModified } from './content.ts'
import { has } from './features.ts'
import { lessIcons, lessTitle, without } from './without.ts'

/** A tool of a list as a client of that revision knows tools. */
export function toolFor(tool: Params, revision: Revision): Params {
  let known = lessIcons(tool, revision)
  if (!has(revision, 'tasks')) known = without(known, 'execution')
  if (!has(revision, 'titles') && typeof tool.title === 'string') known = titledByHint(known, tool.title)
  if (!has(revision, 'tool_annotations')) known = without(known, 'annotations')
  return keepsOutputSchema(tool, revision) ? known : without(known, 'outputSchema')
}

/** Before tools had a title of their own, their annotations had one. */
function titledByHint(tool: Params, title: string): Params {
  const hints = isObject(tool.annotations) ? tool.annotations : {}
  return { ...without(tool, 'title'), annotations: { title, ...hints } }
}

/**
 * A client that knows output schemas expects `structuredContent` to be an object and takes a list with any other
 * schema for broken. `resultFor` leaves such content out for the same clients.
 */
function keepsOutputSchema({ outputSchema }: Params, revision: Revision): boolean {
  if (outputSchema === undefined) return true
  if (!has(revision, 'structured_content')) return false
  if (has(revision, 'structured_content_of_any_type')) return true
  return isObject(outputSchema) && outputSchema.type === 'object'
}

export function promptFor(prompt: Params, revision: Revision): Params {
  const known = lessTitle(lessIcons(prompt, revision), revision)
  if (has(revision, 'titles') || !Array.isArray(prompt.arguments)) return known
  return {
    ...known,
    arguments: prompt.arguments.map((argument: unknown) =>
      isObject(argument) ? lessTitle(argument, revision) : argument,
    ),
  }
}

/** A resource or a resource template. */
export const resourceFor = (resource: Params, revision: Revision): Params =>
  lessLastModified(lessTitle(lessIcons(resource, revision), revision), revision)
