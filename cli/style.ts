import type { Output, Style } from './command.ts'

const plain = (text: string): string => text

const PLAIN: Style = { bold: plain, dim: plain }

const TERMINAL: Style = {
  bold: (text) => `\u001B[1m${text}\u001B[22m`,
  dim: (text) => `\u001B[2m${text}\u001B[22m`,
}

/** Bold and dim on a terminal, unless `NO_COLOR` (no-color.org) or `TERM=dumb` asks for plain text. */
export function styleFor(output: Output, env: Readonly<Record<string, string | undefined>>): Style {
  const wanted = output.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
  return wanted ? TERMINAL : PLAIN
}
