import { scalar, type ScalarNode } from '../node.ts'

const UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const

/** `1h30m` as a number of milliseconds; anything else stays as it is, to be judged as a native length of time. */
export function goDuration(node: ScalarNode): ScalarNode {
  if (!/^(?:\d{1,9}(?:\.\d{1,3})?(?:ms|s|m|h))+$/.test(node.text)) return node
  let total = 0
  for (const [, count, unit] of node.text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g))
    total += Number(count) * UNITS_MS[unit as keyof typeof UNITS_MS]
  return { ...scalar(Math.round(total), node), hidden: node.hidden }
}
