import { OWN_NAME } from '../lib/own-paths.ts'
import { nearestWord } from '../lib/spelling.ts'
import {
  type Entry,
  entryOf,
  type MapNode,
  memberPath,
  type Node,
  type ScalarNode,
  showName,
} from './node.ts'
import type { Context } from './spec.ts'

/**
 * Names that servers and tokens use of each other, and that the delimiter must tell apart. Looks at what is written,
 * not at what could be read of it: one bad value must not hide what else is wrong.
 */
export function checkServers(root: MapNode, delimiter: string | undefined, context: Context): void {
  const servers = entriesOf(entryOf(root, 'mcpServers'))
  const tokens = entriesOf(entryOf(entryOf(root, 'auth'), 'tokens'))
  const serverNames = servers.map(({ key }) => key)
  const tokenNames = tokens.map(({ key }) => key)
  const values = new Set(
    tokens.flatMap(({ value }) => wordsOf(entryOf(value, 'value') ?? value).map(({ text }) => text)),
  )
  for (const { key: name, value, where } of servers) {
    // `a_` and `_b` with the delimiter `__` would be `a` and `__b` as well.
    if (delimiter !== undefined && `${name}${delimiter}`.indexOf(delimiter) !== name.length)
      context.report.problem(
        'config_conflict',
        context.places.get(memberPath('mcpServers', name)) ?? { where, path: memberPath('mcpServers', name) },
        `would run together with the names of its tools, which ${delimiter} sets apart: rename it, or change aggregate.delimiter`,
      )
    for (const { text, node } of wordsOf(entryOf(value, 'authTokens'))) {
      if (tokenNames.includes(text)) continue
      // What stands where a name belongs may be the token itself.
      const message = values.has(text)
        ? 'is the value of a token: give its name'
        : `${node.hidden ? 'the value of the environment variable' : `"${showName(text)}"`} is not a token of auth.tokens`
      context.report.problem('config_bad_value', node, message, nearestWord(text, tokenNames))
    }
  }
  for (const { key: token, value } of tokens) {
    const allowed = entryOf(value, 'servers')
    const words = wordsOf(allowed)
    if (!allowed || words.some(({ text }) => text === 'all')) continue
    for (const { text, node } of words)
      if (text !== OWN_NAME && !serverNames.includes(text))
        context.report.problem(
          'config_bad_value',
          node,
          `"${showName(text)}" is not a configured MCP server`,
          nearestWord(text, [...serverNames, OWN_NAME]),
        )
    for (const { key: name, value: server } of servers) {
      const named = wordsOf(entryOf(server, 'authTokens')).some(({ text }) => text === token)
      if (named && !words.some(({ text }) => text === name))
        context.report.warning(
          'config_conflict',
          allowed,
          `does not name ${name}, whose authTokens name this token: it may not use that server`,
        )
    }
  }
}

const entriesOf = (node: Node | undefined): readonly Entry[] => (node?.kind === 'map' ? node.entries : [])

/** A list of words, or a single one that stands for it. */
function wordsOf(node: Node | undefined): readonly { readonly text: string; readonly node: ScalarNode }[] {
  if (!node) return []
  const items = node.kind === 'list' ? node.items : [node]
  return items.flatMap((item) =>
    item.kind === 'scalar' && !item.broken && item.text.trim() !== ''
      ? [{ text: item.text.trim(), node: item }]
      : [],
  )
}
