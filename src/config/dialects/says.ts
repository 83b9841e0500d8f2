import { isAbsent, type Node } from '../node.ts'

/** Whether a value says anything: `token_file: ""` is the way such files say "the default". */
export const filled = (node: Node | undefined): node is Node =>
  !isAbsent(node) && !(node.kind === 'scalar' && node.value === '' && !node.broken)

export const isFalse = (node: Node | undefined): boolean =>
  node?.kind === 'scalar' && (node.value === false || node.value === 'false')

export const isTrue = (node: Node | undefined): boolean =>
  node?.kind === 'scalar' && (node.value === true || node.value === 'true')
