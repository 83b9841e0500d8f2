import { extname } from 'node:path'
import type { MapNode, Node } from './node.ts'
import { parseJson } from './parse-json.ts'
import { parseYaml } from './parse-yaml.ts'
import type { Report } from './problem.ts'

/** Reads the text of a configuration file. `undefined` means that the problems say why there is nothing to go on with. */
export function parseText(text: string, file: string, report: Report): MapNode | undefined {
  const kind = extname(file).toLowerCase()
  const json =
    kind === '.json' || kind === '.jsonc' || (kind !== '.yaml' && kind !== '.yml' && /^\s*\{/.test(text))
  const node: Node | undefined = json ? parseJson(text, file, report) : parseYaml(text, file, report)
  if (!node) return undefined
  if (node.kind === 'map') return node
  const empty = node.kind === 'scalar' && node.value === null
  if (empty) return { kind: 'map', entries: [], where: node.where, path: '' }
  report.problem(
    'config_wrong_type',
    node,
    'the file must hold keys and values, such as "dataDir: ./.postern"',
  )
  return undefined
}
