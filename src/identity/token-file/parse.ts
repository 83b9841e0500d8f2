import {
  type Document,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseDocument,
  type YAMLMap,
} from 'yaml'
import { type FileToken, type RawEntry, readEntries, TokenFileProblem } from './entry.ts'
import { parsePlain } from './parse-plain.ts'

/** Nobody nests brackets like this by hand; the parser's stack and patience end somewhere above. */
const BRACKET_BOMB = /[[{](?:\s*[[{]){31}/

/** The whole YAML language is read up to here: beyond it, the parser would hold up every request too long. */
const LONGEST_ANY_YAML = 256 * 1024

/**
 * Reads a token file. Both shapes are accepted: a list of entries with an `id` each (pgEdge's document) and
 * a map from id to entry (pgEdge's published code).
 *
 * @throws TokenFileProblem with a sentence that quotes nothing of the content but ids
 */
export function parseTokenFile(text: string): readonly FileToken[] {
  const plain = parsePlain(text)
  if (plain) return readEntries(plain)
  if (text.length > LONGEST_ANY_YAML) {
    throw new TokenFileProblem(
      `longer than ${LONGEST_ANY_YAML} characters and not in the plain form (one field a line, simple values)`,
    )
  }
  return readEntries(rawEntries(parseTokenDocument(text)))
}

/**
 * The YAML document, for reading and for editing in place. Every scalar stays text (a hash of digits only
 * must not become a number), and there are no aliases: a few lines of nested ones expand
 * to gigabytes.
 *
 * @throws TokenFileProblem
 */
export function parseTokenDocument(text: string): Document {
  if (BRACKET_BOMB.test(text)) throw new TokenFileProblem('brackets are nested too deeply')
  const lineCounter = new LineCounter()
  const document = parse(text, lineCounter)
  const [error] = document.errors
  if (error) {
    // The parser's own message quotes the line, which could hold a token that somebody put there.
    throw new TokenFileProblem(
      `not valid YAML at line ${lineCounter.linePos(error.pos[0]).line} (${error.code})`,
    )
  }
  if (/^\s*(?:.*[\s:[{,-])?[&*][^\s,[\]{}]/m.test(text)) refuseAliases(document)
  return document
}

function parse(text: string, lineCounter: LineCounter): Document {
  try {
    return parseDocument(text, {
      schema: 'failsafe',
      // Checked below: the parser's own check takes quadratic time.
      uniqueKeys: false,
      strict: true,
      prettyErrors: false,
      logLevel: 'silent',
      lineCounter,
    })
  } catch (error) {
    if (error instanceof RangeError) throw new TokenFileProblem('nested too deeply')
    throw error
  }
}

function refuseAliases(document: Document): void {
  try {
    document.toJS({ maxAliasCount: 0 })
  } catch {
    throw new TokenFileProblem('aliases (*name) are not accepted here')
  }
}

/** @throws TokenFileProblem */
export function rawEntries(document: Document): readonly RawEntry[] {
  const root = document.contents
  if (root === null || (isScalar(root) && root.value === '')) return []
  if (!isMap(root)) throw new TokenFileProblem('the file must have a key `tokens`')
  uniqueKeys(root)
  const tokens = root.get('tokens', true) as unknown
  if (!root.has('tokens')) throw new TokenFileProblem('the file must have a key `tokens`')
  if (tokens === null || tokens === undefined || isEmptyScalar(tokens)) return []
  if (isSeq(tokens)) {
    return tokens.items.map((item, index) => {
      if (!isMap(item)) throw new TokenFileProblem(`entry ${index + 1} is not a map of fields`)
      return { fields: rawFields(item, index) }
    })
  }
  if (isMap(tokens)) {
    uniqueKeys(tokens)
    return tokens.items.map((pair, index) => {
      if (!isMap(pair.value)) throw new TokenFileProblem(`entry ${index + 1} is not a map of fields`)
      return { key: keyOf(pair, index), fields: rawFields(pair.value, index) }
    })
  }
  throw new TokenFileProblem('`tokens` must be a list or a map')
}

const isEmptyScalar = (node: unknown): boolean =>
  isScalar(node) && (node.value === null || node.value === '' || node.value === '~' || node.value === 'null')

function rawFields(entry: YAMLMap, index: number): RawEntry['fields'] {
  uniqueKeys(entry)
  const fields = new Map<string, string | readonly string[]>()
  for (const pair of entry.items) {
    const value = scalarOrNames(pair.value)
    // A field of another shape is somebody else's: it is kept in the file and means nothing here.
    if (value !== undefined) fields.set(keyOf(pair, index), value)
  }
  return fields
}

function scalarOrNames(node: unknown): string | readonly string[] | undefined {
  if (node === null) return ''
  if (isScalar(node)) return scalarText(node.value)
  if (!isSeq(node)) return undefined
  const names = node.items.map((item) => (isScalar(item) ? scalarText(item.value) : undefined))
  return names.every((name) => name !== undefined) ? names : undefined
}

const scalarText = (value: unknown): string | undefined =>
  value === null ? '' : typeof value === 'string' ? value : undefined

/** Of two equal keys one would win silently, and not the same one in every program that reads the file. */
function uniqueKeys(map: YAMLMap): void {
  const keys = new Set<string>()
  for (const [index, pair] of map.items.entries()) {
    const key = keyOf(pair, index)
    if (keys.has(key)) throw new TokenFileProblem('a key occurs twice in one map')
    keys.add(key)
  }
}

function keyOf(pair: Pair, index: number): string {
  const key = isScalar(pair.key) ? scalarText(pair.key.value) : undefined
  if (key === undefined) throw new TokenFileProblem(`entry ${index + 1} has a key that is not text`)
  return key
}
