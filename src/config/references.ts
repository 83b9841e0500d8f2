import { STAND_IN } from './left-open.ts'
import { scalar, type MapNode, type Node, type ScalarNode } from './node.ts'
import type { Report } from './problem.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Defaults may hold references again; a chain of them is short. */
const LONGEST_CHAIN = 8

const REFERENCE = /(\$?)\$env:([A-Za-z_][A-Za-z0-9_]*)(\|[\s\S]*)?/

/**
 * Replaces every `$env:NAME`, `$env:NAME|default` and `{"$env": "NAME"}` (which may have a `default`, too) by what
 * the environment says.
 * The default runs to the end of the value and may hold a reference itself; `$$env:` is the text `$env:`.
 * An empty variable counts as missing: an empty credential is never what somebody meant.
 * All missing names are reported, each where it stands.
 *
 * @param leftOpen asked of each value in which a name is missing: whether that is none of the reader's business, so that
 *   something else may stand there unreported. `keys` is the way to it, without the places in lists
 */
export function resolveReferences(
  root: MapNode,
  env: Environment,
  report: Report,
  leftOpen: (keys: readonly string[], text: string) => boolean = () => false,
): MapNode {
  const replaced = (node: ScalarNode, keys: readonly string[]): ScalarNode =>
    substitute(node, env, report, (text) => leftOpen(keys, text))
  const resolve = (node: Node, keys: readonly string[]): Node => {
    if (node.kind === 'list') return { ...node, items: node.items.map((item) => resolve(item, keys)) }
    if (node.kind === 'scalar') {
      const holdsReference = typeof node.value === 'string' && node.value.includes('$env:')
      return holdsReference ? replaced(node, keys) : node
    }
    const named = namedReference(node)
    return named ? replaced(named, keys) : resolveEntries(node, keys)
  }
  const resolveEntries = (node: MapNode, keys: readonly string[]): MapNode => ({
    ...node,
    entries: node.entries.map((entry) => ({ ...entry, value: resolve(entry.value, [...keys, entry.key]) })),
  })
  return resolveEntries(root, [])
}

/** Every object form as the text form that means the same; nothing is looked up. */
export function referencesAsText<N extends Node>(node: N): N | ScalarNode {
  if (node.kind === 'list') return { ...node, items: node.items.map((item) => referencesAsText(item)) }
  if (node.kind === 'scalar') return node
  const named = namedReference(node)
  if (named) return named
  const entries = node.entries.map((entry) => ({ ...entry, value: referencesAsText(entry.value) }))
  return { ...node, entries }
}

/** The object form, as the text form that means the same. */
function namedReference(node: MapNode): ScalarNode | undefined {
  const member = (key: string): string | undefined => {
    const value = node.entries.find((entry) => entry.key === key)?.value
    return value?.kind === 'scalar' && typeof value.value === 'string' ? value.value : undefined
  }
  const name = member('$env')
  if (name === undefined) return undefined
  if (node.entries.length === 1) return scalar(`$env:${name}`, node)
  const fallback = member('default')
  return node.entries.length === 2 && fallback !== undefined
    ? scalar(`$env:${name}|${fallback}`, node)
    : undefined
}

function substitute(
  node: ScalarNode,
  env: Environment,
  report: Report,
  leftOpen: (text: string) => boolean,
): ScalarNode {
  const written = String(node.value)
  let hidden = false
  let malformed = false
  const missing = new Set<string>()

  const expand = (text: string, chain: number): string => {
    const match = REFERENCE.exec(text)
    if (!match) {
      malformed ||= text.includes('$env:')
      return text
    }
    const [whole, escape = '', name = '', fallback] = match
    const before = text.slice(0, match.index)
    if (escape !== '') return `${before}$env:${expand(text.slice(match.index + '$$env:'.length), chain)}`
    const value = Object.hasOwn(env, name) ? env[name] : undefined
    const rest = text.slice(match.index + whole.length)
    if (value !== undefined && value !== '') {
      hidden = true
      // What a variable holds is taken as it is: references in it are text.
      return before + value + expand(rest, chain)
    }
    if (fallback !== undefined && chain < LONGEST_CHAIN) return before + expand(fallback.slice(1), chain + 1)
    if (leftOpen(written)) {
      hidden = true
      return before + STAND_IN + expand(rest, chain)
    }
    missing.add(name)
    return before + expand(rest, chain)
  }

  const value = expand(written, 0)
  for (const name of missing)
    report.problem(
      'config_missing_variable',
      node,
      `needs the environment variable ${name}: set it, or write $env:${name}|default`,
    )
  if (malformed)
    report.problem(
      'config_bad_value',
      node,
      'has $env: without a name: write $env:NAME, or $$env: for the text itself',
    )
  return scalar(value, node, { hidden, broken: malformed || missing.size > 0 })
}
