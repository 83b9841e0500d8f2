import {
  emptyMap,
  type Entry,
  type MapNode,
  memberPath,
  type Node,
  scalar,
  withEntry,
  entryOf,
} from '../node.ts'
import type { DialectContext } from './dialect.ts'
import { isTrue } from './says.ts'

interface Given {
  readonly item: MapNode
  readonly env: Node | undefined
  readonly headers: Node | undefined
  readonly required: Node | undefined
}

interface Taken {
  readonly env: Node | undefined
  readonly headers: Node | undefined
  readonly userCredential: Node | undefined
}

/** What stands for the credential in a template. */
const SLOT = '{{token}}'

/**
 * `{"$userToken": "Bearer {{token}}"}` in `headers` or `env` is a place for each principal's own credential. Postern
 * has one such place for each server, at the end of a header or alone in a variable.
 */
export function takeUserToken({ item, env, headers, required }: Given, { report }: DialectContext): Taken {
  const places: { readonly at: Node; readonly credential: MapNode }[] = []
  const refuse = (at: Node, why: string): void => {
    report.problem('config_not_available', at, `is not available in this version: ${why}`)
  }
  const without = (
    node: Node | undefined,
    credentialOf: (name: string, template: string) => MapNode | undefined,
  ) => {
    if (node?.kind !== 'map') return node
    const entries: Entry[] = []
    for (const entry of node.entries) {
      const template = templateOf(entry.value)
      if (template === undefined) {
        entries.push(entry)
        continue
      }
      const credential = credentialOf(entry.key, template)
      if (credential) places.push({ at: entry.value, credential })
      else refuse(entry.value, `put ${SLOT} at the end of a header, or alone into a variable`)
    }
    return { ...node, entries }
  }
  const at = memberPath(item.path, 'userCredential')
  const place = (key: string, name: string, from: Node): MapNode =>
    withEntry(emptyMap(from.where, at), key, scalar(name, { where: from.where, path: from.path }))

  const kept = {
    env: without(env, (name, template) => (template === SLOT && env ? place('env', name, env) : undefined)),
    headers: without(headers, (name, template) => {
      if (!headers || !template.endsWith(SLOT) || template.indexOf(SLOT) !== template.length - SLOT.length)
        return undefined
      const prefix = scalar(template.slice(0, -SLOT.length), headers)
      return withEntry(place('header', name, headers), 'prefix', prefix)
    }),
  }
  const args = entryOf(item, 'args')
  const elsewhere = [entryOf(item, 'url'), ...(args?.kind === 'list' ? args.items : [])]
  for (const node of elsewhere)
    if (node && templateOf(node) !== undefined)
      refuse(node, 'a credential of a person goes into a header or a variable')

  const [first, second] = places
  if (second) refuse(second.at, 'one place for each server')
  if (isTrue(required) && required && places.length === 0)
    report.problem('config_missing', required, `needs a header or a variable with {"$userToken": "${SLOT}"}`)
  const userCredential =
    first && withEntry(first.credential, 'required', scalar(isTrue(required), required ?? first.at))
  return { ...kept, userCredential }
}

function templateOf(node: Node): string | undefined {
  if (node.kind !== 'map') return undefined
  const template = entryOf(node, '$userToken')
  return template?.kind === 'scalar' ? template.text : undefined
}
