import { isAlias, isMap, isScalar, isSeq, parseDocument, type Document, type YAMLError } from 'yaml'
import { Growth } from './growth.ts'
import { lineIndex } from './lines.ts'
import { memberPath, scalar, showName, type Entry, type Node, type Where } from './node.ts'
import type { Report } from './problem.ts'

const UNSUPPORTED_TAG = 'this tag is not supported: write the value without it'

/**
 * The parser's own sentences quote the file, so an unquoted password that YAML misreads would be printed
 * (`password: *abc` is an alias). These do not.
 */
const SENTENCES: Readonly<Record<string, string>> = {
  ALIAS_PROPS: 'an alias cannot have an anchor or a tag',
  BAD_ALIAS: 'this is not an alias: text that starts with * needs quotes',
  BAD_DIRECTIVE: 'this is not a directive that YAML knows',
  BAD_DQ_ESCAPE: 'this is not an escape that YAML knows: use single quotes for text with backslashes',
  BAD_INDENT: 'this line is indented too little or too much',
  BAD_PROP_ORDER: 'an anchor or a tag stands in the wrong place',
  BAD_SCALAR_START: 'text that starts with this character needs quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a key is missing, or the line before lacks a line end',
  BLOCK_IN_FLOW: 'an indented block cannot stand inside brackets',
  IMPOSSIBLE: 'this is not YAML',
  KEY_OVER_1024_CHARS: 'a key is longer than 1024 characters',
  MISSING_CHAR: 'something is missing here: a closing bracket, a quote, a comma or a colon',
  MULTILINE_IMPLICIT_KEY: 'a key goes over several lines: a colon or a quote is missing',
  MULTIPLE_ANCHORS: 'a value can have one anchor only',
  MULTIPLE_DOCS: 'the file holds several documents (---): it must hold one',
  MULTIPLE_TAGS: 'a value can have one tag only',
  NON_STRING_KEY: 'a key must be text',
  RESOURCE_EXHAUSTION: 'nests too deeply',
  TAB_AS_INDENT: 'a tab cannot indent: use spaces',
  TAG_RESOLVE_FAILED: UNSUPPORTED_TAG,
  UNEXPECTED_TOKEN: 'this is not expected here: text with special characters needs quotes',
}

const MOST_SYNTAX_PROBLEMS = 10

/** Enough for every honest file; resolving an alias walks the document. */
const MOST_ALIASES = 100

/** Reads YAML 1.2 with the core schema: no custom tags, no merge keys, keys once. */
export function parseYaml(text: string, file: string, report: Report): Node | undefined {
  const position = lineIndex(text)
  const whereOf = (offset: number): Where => ({ kind: 'file', file, ...position(offset) })
  const complain = (offset: number, message: string): void => {
    report.problem('config_syntax', { where: whereOf(offset), path: '' }, message)
  }

  let document: Document.Parsed
  try {
    document = parseDocument(text, {
      version: '1.2',
      schema: 'core',
      customTags: [],
      merge: false,
      // Checked below: the parser compares every key with every other.
      uniqueKeys: false,
      strict: true,
      prettyErrors: false,
      // Not 'silent', which would also keep it from noticing a second document.
      logLevel: 'error',
    })
  } catch {
    // The composer recurses: a file of nothing but `[` ends in a RangeError.
    complain(0, 'this is not YAML that can be read: it nests too deeply')
    return undefined
  }
  const complaints: readonly YAMLError[] = [...document.errors, ...document.warnings]
  for (const complaint of complaints.slice(0, MOST_SYNTAX_PROBLEMS)) {
    complain(complaint.pos[0], SENTENCES[complaint.code] ?? 'this is not YAML')
  }
  if (complaints.length > 0) return undefined

  const growth = new Growth(report)
  let aliases = 0
  const convert = (source: unknown, path: string, depth: number, offset: number): Node | undefined => {
    let node = source
    if (isAlias(node)) {
      aliases += 1
      const target = aliases <= MOST_ALIASES ? node.resolve(document) : undefined
      if (!target) {
        const message =
          aliases > MOST_ALIASES
            ? `more than ${MOST_ALIASES} aliases`
            : 'this alias has no anchor before it: text that starts with * needs quotes'
        complain(node.range?.[0] ?? offset, message)
        return undefined
      }
      node = target
    }
    const where = whereOf(rangeStart(source) ?? offset)
    if (!growth.admits(depth, where)) return undefined
    if (isSeq(node)) {
      const items: Node[] = []
      for (const [index, child] of node.items.entries()) {
        const item = convert(child, `${path}[${index}]`, depth + 1, offset)
        if (item) items.push(item)
      }
      return { kind: 'list', items, where, path }
    }
    if (isMap(node)) {
      const entries: Entry[] = []
      const seen = new Set<string>()
      for (const pair of node.items) {
        const keyOffset = rangeStart(pair.key) ?? offset
        if (!isScalar(pair.key)) {
          complain(keyOffset, 'a key must be a single word, not a list or a map')
          continue
        }
        const key =
          typeof pair.key.value === 'string' ? pair.key.value : (pair.key.source ?? String(pair.key.value))
        const keyWhere = whereOf(keyOffset)
        const keyPath = memberPath(path, key)
        if (seen.has(key))
          report.problem(
            'config_duplicate_key',
            { where: keyWhere, path: keyPath },
            `"${showName(key)}" stands here twice`,
          )
        seen.add(key)
        const value = convert(pair.value, keyPath, depth + 1, keyOffset)
        if (value) entries.push({ key, where: keyWhere, value })
      }
      return { kind: 'map', entries, where, path }
    }
    if (!isScalar(node)) return scalar(null, { where, path }, { text: '' })
    const { value, source: written } = node
    if (typeof value === 'object' && value !== null) {
      complain(rangeStart(node) ?? offset, UNSUPPORTED_TAG)
      return undefined
    }
    const plain =
      typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null
    const asText = typeof value === 'string' ? value : (written ?? String(value))
    return scalar(plain, { where, path }, { text: asText })
  }
  return convert(document.contents, '', 0, 0)
}

function rangeStart(node: unknown): number | undefined {
  return isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range?.[0] : undefined
}
