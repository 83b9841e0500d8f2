import { isObject, type Params } from '../../lib/json-rpc.ts'
import type { Revision } from '../../lib/revisions.ts'
import { has } from './features.ts'
import { lessIcons, without } from './without.ts'

/**
 * Content of a tool result or a prompt as a client of that revision knows it. What it does not know becomes
 * something it can use: audio an embedded resource with the same bytes, a resource link a text that names it.
 */
export function contentsFor(blocks: readonly unknown[], revision: Revision): readonly unknown[] {
  return has(revision, 'icons') ? blocks : blocks.map((block, at) => contentFor(block, revision, at))
}

/** @param at the place of the block in its list, which makes the address of an embedded resource unique */
export function contentFor(block: unknown, revision: Revision, at = 0): unknown {
  if (has(revision, 'icons') || !isObject(block)) return block
  const known = lessLastModified(block, revision)
  switch (block.type) {
    case 'audio':
      return has(revision, 'audio') ? known : asEmbedded(known, at)
    case 'resource_link':
      return has(revision, 'resource_link') ? lessIcons(known, revision) : asText(known)
    default:
      return known
  }
}

const asEmbedded = (audio: Params, at: number): Params => ({
  type: 'resource',
  resource: { uri: `postern:/content/${at}`, mimeType: audio.mimeType, blob: audio.data },
  ...(audio.annotations === undefined ? {} : { annotations: audio.annotations }),
})

function asText(link: Params): Params {
  const { uri, name, title, description, mimeType } = link
  const label = [title, name].find((word) => typeof word === 'string' && word !== '')
  const type = typeof mimeType === 'string' ? ` (${mimeType})` : ''
  const lines = [`Resource${typeof label === 'string' ? ` ${label}` : ''}${type}: ${String(uri)}`]
  if (typeof description === 'string' && description !== '') lines.push(description)
  return {
    type: 'text',
    text: lines.join('\n'),
    ...(link.annotations === undefined ? {} : { annotations: link.annotations }),
  }
}

/** `annotations.lastModified` of content and resources. */
export function lessLastModified(item: Params, revision: Revision): Params {
  if (has(revision, 'last_modified') || !isObject(item.annotations)) return item
  if (!('lastModified' in item.annotations)) return item
  return { ...item, annotations: without(item.annotations, 'lastModified') }
}
