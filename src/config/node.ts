/** Where a value was written. */
export type Where =
  | { readonly kind: 'file'; readonly file: string; readonly line: number; readonly column: number }
  | { readonly kind: 'environment'; readonly variable: string }
  | { readonly kind: 'option'; readonly option: string }
  | { readonly kind: 'nowhere' }

export const NOWHERE: Where = { kind: 'nowhere' }

interface Written {
  readonly where: Where
  /** The way to it as its author wrote it: `databases[0].name`. */
  readonly path: string
}

export interface ScalarNode extends Written {
  readonly kind: 'scalar'
  readonly value: string | number | boolean | null
  /** As it was written, so that `0123` given as text does not become 123. */
  readonly text: string
  /** The value came out of an environment variable, so it may be a secret and is never shown. */
  readonly hidden: boolean
  /** The value could not be made out, which has been reported: nobody reads it. */
  readonly broken: boolean
}

export interface ListNode extends Written {
  readonly kind: 'list'
  readonly items: readonly Node[]
}

export interface Entry {
  readonly key: string
  /** Where the key stands. */
  readonly where: Where
  readonly value: Node
}

/** Entries stay a list: a key such as `__proto__` is a word like any other. */
export interface MapNode extends Written {
  readonly kind: 'map'
  readonly entries: readonly Entry[]
}

/** What a configuration file says, whatever its format, with the position of every word. */
export type Node = ScalarNode | ListNode | MapNode

export const scalar = (
  value: ScalarNode['value'],
  written: Written,
  options: { readonly text?: string; readonly hidden?: boolean; readonly broken?: boolean } = {},
): ScalarNode => ({
  kind: 'scalar',
  value,
  text: options.text ?? String(value),
  hidden: options.hidden ?? false,
  broken: options.broken ?? false,
  where: written.where,
  path: written.path,
})

export const emptyMap = (where: Where = NOWHERE, path = ''): MapNode => ({
  kind: 'map',
  entries: [],
  where,
  path,
})

/** `tls:` with nothing behind it means the same as no `tls` at all. */
export const isAbsent = (node: Node | undefined): node is undefined =>
  node === undefined || (node.kind === 'scalar' && node.value === null)

export function entryOf(node: Node | undefined, key: string): Node | undefined {
  if (node?.kind !== 'map') return undefined
  const found = node.entries.find((entry) => entry.key === key)?.value
  return isAbsent(found) ? undefined : found
}

/** The same map with one entry replaced or added. */
export function withEntry(map: MapNode, key: string, value: Node): MapNode {
  const entry: Entry = { key, where: value.where, value }
  const known = map.entries.some((candidate) => candidate.key === key)
  return {
    ...map,
    entries: known
      ? map.entries.map((candidate) => (candidate.key === key ? entry : candidate))
      : [...map.entries, entry],
  }
}

/** The way to a member: `parent.key`, or `parent["a key"]` where the key is not one word. */
export function memberPath(parent: string, key: string): string {
  const shown = showName(key)
  if (!/^[A-Za-z0-9_$-]+$/.test(shown)) return `${parent}[${JSON.stringify(shown)}]`
  return parent === '' ? shown : `${parent}.${shown}`
}

/**
 * A name out of the file as messages show it: bounded, and without a credential that somebody put where
 * a name belongs.
 */
export function showName(name: string): string {
  if (/^(?:pst_|ds_live_|ey[JK])/.test(name) || /^[A-Za-z0-9_-]{40,}=*$/.test(name))
    return `${name.slice(0, 4)}…`
  return name.length > 60 ? `${name.slice(0, 60)}…` : name
}
