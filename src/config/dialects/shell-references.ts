import { type MapNode, type Node, scalar, type ScalarNode } from '../node.ts'
import type { Report } from '../problem.ts'

/** `${NAME}`, `${NAME:-default}`, `${env:NAME}`, `${input:id}`, `${workspaceFolder}` */
const REFERENCE = /\$\{(?:(env|input):)?([A-Za-z_][A-Za-z0-9_.-]*)(?::-([^{}]*))?\}/g

/** What an editor puts in and nobody else knows: it has to come from somewhere else. */
const EDITOR: ReadonlyMap<string, string> = new Map([
  ['workspaceFolder', 'WORKSPACE_FOLDER'],
  ['workspaceRoot', 'WORKSPACE_FOLDER'],
  ['userHome', 'HOME'],
])

/** The variable that stands for an editor's question: `${input:github-token}` is `GITHUB_TOKEN`. */
export const variableOfInput = (id: string): string =>
  id
    .toUpperCase()
    .replaceAll(/[^A-Z0-9]+/g, '_')
    .replace(/^(?=\d)/, '_')

/** Whether a value holds such a reference. */
export const hasShellReference = (text: string): boolean => text.search(REFERENCE) !== -1

/** Every such reference as `$env:`; what cannot be said that way is a problem. */
export function shellReferences(root: MapNode, report: Report): MapNode {
  const rewrite = <N extends Node>(node: N): N | ScalarNode => {
    if (node.kind === 'list') return { ...node, items: node.items.map((item) => rewrite(item)) }
    if (node.kind === 'map')
      return { ...node, entries: node.entries.map((entry) => ({ ...entry, value: rewrite(entry.value) })) }
    return typeof node.value === 'string' && hasShellReference(node.value) ? expand(node, report) : node
  }
  return rewrite(root) as MapNode
}

function expand(node: ScalarNode, report: Report): ScalarNode {
  let wrong: string | undefined
  const text = node.text.replaceAll(
    REFERENCE,
    (whole, kind: string | undefined, name: string, fallback: string | undefined, at: number) => {
      const rest = node.text.slice(at + whole.length)
      const variable = kind === 'input' ? variableOfInput(name) : (EDITOR.get(name) ?? name)
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(variable))
        wrong ??= `has \${${name}}, which is not an environment variable`
      // A name ends where no letter follows, and a default runs to the end of the value.
      else if (/^[A-Za-z0-9_|]/.test(rest) || (fallback !== undefined && rest !== ''))
        wrong ??= `has text right after \${${name}}: put the whole value into one variable`
      return fallback === undefined ? `$env:${variable}` : `$env:${variable}|${fallback}`
    },
  )
  if (wrong === undefined) return scalar(text, node)
  report.problem('config_bad_value', node, wrong)
  return { ...node, broken: true }
}
