import { nearestWord } from '../lib/spelling.ts'
import {
  entryOf,
  emptyMap,
  isAbsent,
  type MapNode,
  memberPath,
  type Node,
  scalar,
  type Where,
  withEntry,
} from './node.ts'
import type { Report } from './problem.ts'
import type { Environment } from './references.ts'
import { type Row, variableWord } from './rows.ts'

/** Read by the command line, its launcher or clients: not settings. */
const OTHERS = new Set([
  'POSTERN_CONFIG',
  'POSTERN_DATABASE_ADMIN_URL',
  'POSTERN_DEBUG',
  'POSTERN_LAUNCHED',
  'POSTERN_TOKEN',
  'POSTERN_URL',
])

/** What Kubernetes sets for a service called `postern`, and Docker for a linked container. */
const ORCHESTRATOR =
  /^POSTERN(?:_[A-Z0-9_]*)?_(?:SERVICE_(?:HOST|PORT(?:_[A-Z0-9_]+)?)|PORT(?:_\d+_(?:TCP|UDP)(?:_(?:PROTO|PORT|ADDR))?)?|NAME|ENV_[A-Za-z0-9_]+)$/

/**
 * Puts every `POSTERN_…` variable over what the file says. `POSTERN_DATABASES_<NAME>_…` and
 * `POSTERN_AUTH_TOKENS_<NAME>_…` change the database or token of that name (letters and digits compared,
 * case ignored), or add one. An empty variable counts as not set. An unknown name is a warning: the
 * environment is shared with others.
 */
export function applyEnvironment(
  root: MapNode,
  env: Environment,
  rows: readonly Row[],
  report: Report,
): MapNode {
  // The longest fixed part first: `…_MAIN_WRITER_USER` is the writer's user of `main`, not the user of `main_writer`.
  const leaves = rows
    .filter((row) => row.variable !== null)
    .toSorted((a, b) => (b.variable ?? '').length - (a.variable ?? '').length)
  let result = root
  for (const variable of Object.keys(env).toSorted()) {
    const value = env[variable]
    if (!variable.startsWith('POSTERN_') || OTHERS.has(variable) || value === undefined || value === '')
      continue
    const where: Where = { kind: 'environment', variable }
    const found = leaves
      .map((row) => ({ row, name: nameIn(variable, row) }))
      .find(({ name }) => name !== null)
    if (!found || found.name === null) {
      if (ORCHESTRATOR.test(variable)) continue
      const near = nearestWord(
        variable,
        leaves.map((row) => row.variable ?? ''),
      )
      report.warning('config_unknown_key', { where, path: '' }, 'is not a variable that Postern reads', near)
      continue
    }
    result = put(result, found.row, found.name, value, where, report)
  }
  return result
}

/** The part of a variable that stands for `<NAME>`; empty when the row has none; `null` when it is another row's. */
function nameIn(variable: string, row: Row): string | null {
  const [before = '', after] = (row.variable ?? '').split('<NAME>')
  if (after === undefined) return variable === before ? '' : null
  const fits =
    variable.length > before.length + after.length && variable.startsWith(before) && variable.endsWith(after)
  return fits ? variable.slice(before.length, variable.length - after.length) : null
}

function put(root: MapNode, row: Row, name: string, text: string, where: Where, report: Report): MapNode {
  const list = row.path.indexOf('[]')
  if (list !== -1) return putInList(root, row, name, text, where, report)
  const segments = row.path.split('.')
  const star = segments.indexOf('*')
  if (star !== -1) {
    const holder = segments.slice(0, star).reduce<Node | undefined>(entryOf, root)
    const known = holder?.kind === 'map' ? holder.entries.map((entry) => entry.key) : []
    const target = nameOf(name, known, where, report)
    if (target === undefined) return root
    segments[star] = target
  }
  return putAt(root, segments, row, text, where)
}

/** The list item of that name; a new one when there is none. */
function putInList(
  root: MapNode,
  row: Row,
  name: string,
  text: string,
  where: Where,
  report: Report,
): MapNode {
  const [key = '', rest = ''] = row.path.split('[].')
  const current = entryOf(root, key)
  if (current !== undefined && current.kind !== 'list') return root
  const items = current?.items ?? []
  const names = items.map((item) => {
    const named = entryOf(item, 'name')
    return named?.kind === 'scalar' ? named.text : ''
  })
  const target = nameOf(
    name,
    names.filter((known) => known !== ''),
    where,
    report,
  )
  if (target === undefined) return root
  const at = names.indexOf(target)
  const path = `${key}[${at === -1 ? items.length : at}]`
  const item =
    at === -1
      ? withEntry(emptyMap(where, path), 'name', scalar(target, { where, path: `${path}.name` }))
      : items[at]
  if (item?.kind !== 'map') return root
  const changed = putAt(item, rest.split('.'), row, text, where)
  const list: Node = {
    kind: 'list',
    where: current?.where ?? where,
    path: key,
    items: at === -1 ? [...items, changed] : items.with(at, changed),
  }
  return withEntry(root, key, list)
}

/** A configured name that is written that way, or the new name it makes. */
function nameOf(part: string, known: readonly string[], where: Where, report: Report): string | undefined {
  const same = known.filter((name) => variableWord(name) === variableWord(part))
  if (same.length > 1) {
    report.problem(
      'config_conflict',
      { where, path: '' },
      `could mean ${same.join(' or ')}: rename one of them`,
    )
    return undefined
  }
  return same[0] ?? part.toLowerCase()
}

/** Sets a value below a map, making the sections on the way. */
export function putAt(
  root: MapNode,
  segments: readonly string[],
  row: Row,
  text: string,
  where: Where,
): MapNode {
  const [first = '', ...rest] = segments
  const path = memberPath(root.path, first)
  if (rest.length === 0) return withEntry(root, first, valueNode(row, text, where, path))
  const current = entryOf(root, first)
  const section = isAbsent(current) ? emptyMap(where, path) : current
  if (section.kind === 'map') return withEntry(root, first, putAt(section, rest, row, text, where))
  // A token written as its value alone gets further keys.
  if (section.kind === 'scalar' && row.path.startsWith('auth.tokens.*.')) {
    const opened = withEntry(emptyMap(section.where, path), 'value', section)
    return withEntry(root, first, putAt(opened, rest, row, text, where))
  }
  return root
}

function valueNode(row: Row, text: string, where: Where, path: string): Node {
  const hidden = where.kind === 'environment'
  if (row.type?.list !== true) return scalar(text, { where, path }, { hidden })
  const items = text
    .split(',')
    .map((word, index) => scalar(word.trim(), { where, path: `${path}[${index}]` }, { hidden }))
  return { kind: 'list', items, where, path }
}
