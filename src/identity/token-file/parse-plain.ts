import type { RawEntry } from './entry.ts'

/**
 * Reads the plainest form of a token file, the one that programs write, a hundred times faster than a
 * whole YAML parser: ten thousand entries must not hold up every request for a second. Only text whose
 * meaning in YAML is beyond doubt is read; for anything else the answer is `undefined` and the YAML parser
 * decides. A test compares the two on generated files.
 */
export function parsePlain(text: string): readonly RawEntry[] | undefined {
  const lines = text.split('\n')
  if (lines.pop() !== '') return undefined
  const entries: { key?: string; fields: Map<string, string> }[] = []
  let started = false
  let shape: 'list' | 'map' | undefined
  let entryIndent = -1
  let fieldIndent = -1
  let fields: Map<string, string> | undefined
  const keys = new Set<string>()
  for (const line of lines) {
    if (line === '' || /^ *#[\x20-\x7e]*$/.test(line)) continue
    if (!started) {
      if (line !== 'tokens:') return undefined
      started = true
      continue
    }
    const match = /^( *)(- )?([A-Za-z_][A-Za-z0-9_-]*):(?: (.*))?$/.exec(line)
    if (!match) return undefined
    const [, spaces = '', dash, name = '', rest] = match
    const indent = spaces.length
    if (dash !== undefined) {
      if (shape === 'map' || (shape && indent !== entryIndent) || rest === undefined) return undefined
      shape = 'list'
      entryIndent = indent
      fieldIndent = indent + 2
      fields = new Map()
      entries.push({ fields })
    } else if (rest === undefined) {
      if (shape === 'list' || indent === 0 || (shape && indent !== entryIndent)) return undefined
      if (keys.has(name) || (fields && fields.size === 0)) return undefined
      keys.add(name)
      shape = 'map'
      entryIndent = indent
      fieldIndent = -1
      fields = new Map()
      entries.push({ key: name, fields })
      continue
    } else {
      if (!fields) return undefined
      if (fieldIndent === -1) fieldIndent = indent
      if (indent !== fieldIndent || indent <= entryIndent) return undefined
    }
    const value = plainScalar(rest)
    if (value === undefined || fields.has(name)) return undefined
    fields.set(name, value)
  }
  if (entries.length === 0 || (fields && fields.size === 0)) return undefined
  return entries
}

/** A scalar on one line without escapes, anchors, tags, comments or continuation. */
function plainScalar(text: string): string | undefined {
  const quoted = /^"([\x20\x21\x23-\x5b\x5d-\x7e]*)"$/.exec(text) ?? /^'([\x20-\x26\x28-\x7e]*)'$/.exec(text)
  if (quoted) return quoted[1]
  return /^[A-Za-z0-9](?:[A-Za-z0-9_.,()/+@=-]|:(?=[A-Za-z0-9])| (?=[A-Za-z0-9_.,()/+@=]))*$/.test(text)
    ? text
    : undefined
}
