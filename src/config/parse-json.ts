import { createScanner, parseTree, type Node as JsonNode, type ParseError } from 'jsonc-parser'
import { DEEPEST, Growth } from './growth.ts'
import { lineIndex } from './lines.ts'
import { memberPath, scalar, showName, type Entry, type Node, type Where } from './node.ts'
import type { Report } from './problem.ts'

/** `SyntaxKind` of jsonc-parser: a `const enum`, which sources that run as they stand cannot use. */
const TOKEN = { openBrace: 1, closeBrace: 2, openBracket: 3, closeBracket: 4, end: 17 } as const

/** `ParseErrorCode` of jsonc-parser, in words. A `const enum`, too. */
const SENTENCES: Readonly<Record<number, string>> = {
  1: 'this is not a JSON value: text needs double quotes',
  2: 'this is not a number',
  3: 'a key in double quotes is expected here',
  4: 'a value is expected here',
  5: 'a colon is expected here',
  6: 'a comma is expected here',
  7: 'a closing } is missing',
  8: 'a closing ] is missing',
  9: 'the file goes on after its end: it must hold one value',
  11: 'a comment is not closed',
  12: 'text is not closed: a double quote is missing',
  13: 'a number stops in the middle',
  14: 'this is not a \\u escape of four hex digits',
  15: 'this is not an escape that JSON knows',
  16: 'a control character must be written as an escape',
}

/** The parser's first complaints say it all; what follows from them does not help. */
const MOST_SYNTAX_PROBLEMS = 10

/** Reads JSON with comments and trailing commas. */
export function parseJson(text: string, file: string, report: Report): Node | undefined {
  const position = lineIndex(text)
  const whereOf = (offset: number): Where => ({ kind: 'file', file, ...position(offset) })

  const tooDeep = firstTooDeep(text)
  if (tooDeep !== undefined) {
    report.problem(
      'config_too_large',
      { where: whereOf(tooDeep), path: '' },
      `nests deeper than ${DEEPEST} levels`,
    )
    return undefined
  }
  // An empty file, or one of comments only: nothing is configured.
  const first: number = createScanner(text, true).scan()
  if (first === TOKEN.end) return scalar(null, { where: whereOf(0), path: '' })

  const errors: ParseError[] = []
  const root = parseTree(text, errors, { allowTrailingComma: true, disallowComments: false })
  for (const error of errors.slice(0, MOST_SYNTAX_PROBLEMS)) {
    const message = SENTENCES[error.error] ?? 'this is not JSON'
    report.problem('config_syntax', { where: whereOf(error.offset), path: '' }, message)
  }
  if (errors.length > 0) return undefined
  if (!root) return undefined

  const growth = new Growth(report)
  const convert = (node: JsonNode, path: string, depth: number): Node | undefined => {
    const where = whereOf(node.offset)
    if (!growth.admits(depth, where)) return undefined
    if (node.type === 'array') {
      const items: Node[] = []
      for (const [index, child] of (node.children ?? []).entries()) {
        const item = convert(child, `${path}[${index}]`, depth + 1)
        if (item) items.push(item)
      }
      return { kind: 'list', items, where, path }
    }
    if (node.type === 'object') {
      const entries: Entry[] = []
      const seen = new Set<string>()
      for (const property of node.children ?? []) {
        const [name, child] = property.children ?? []
        if (!name || !child) continue
        const key = String(name.value)
        const at = { where: whereOf(name.offset), path: memberPath(path, key) }
        // Two readers of the same file must not find two meanings in it.
        if (seen.has(key)) report.problem('config_duplicate_key', at, `"${showName(key)}" stands here twice`)
        seen.add(key)
        const value = convert(child, at.path, depth + 1)
        if (value) entries.push({ key, where: at.where, value })
      }
      return { kind: 'map', entries, where, path }
    }
    const value: unknown = node.value
    const plain =
      typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? value : null
    const source = typeof value === 'string' ? value : text.slice(node.offset, node.offset + node.length)
    return scalar(plain, { where, path }, { text: source })
  }
  return convert(root, '', 0)
}

/** The parser recurses, so the depth is counted before it runs: `[[[[…` must not exhaust the stack. */
function firstTooDeep(text: string): number | undefined {
  const scanner = createScanner(text, true)
  let depth = 0
  for (let token: number = scanner.scan(); token !== TOKEN.end; token = scanner.scan()) {
    if (token === TOKEN.openBrace || token === TOKEN.openBracket) depth += 1
    if (token === TOKEN.closeBrace || token === TOKEN.closeBracket) depth -= 1
    if (depth > DEEPEST + 1) return scanner.getTokenOffset()
  }
  return undefined
}
