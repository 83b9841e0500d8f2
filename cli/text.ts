import { stripVTControlCharacters } from 'node:util'

/** What a terminal shows of a text: its length without the codes for bold and dim. */
export const shownLength = (text: string): number => stripVTControlCharacters(text).length

export const padShown = (text: string, width: number): string =>
  text + ' '.repeat(Math.max(0, width - shownLength(text)))

/**
 * Text that came from elsewhere (a note, a name out of a file) made safe to print: an escape sequence in
 * it must not move the cursor or rename the window (CWE-150).
 */
export const printable = (text: string): string =>
  stripVTControlCharacters(text).replaceAll(/\p{Cc}/gu, '\uFFFD')

/** Breaks a text into lines of at most `width` characters, at spaces. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && shownLength(line) + 1 + shownLength(word) > width) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, line]
}

/** Two columns; the right one is broken into lines and stays in its column. */
export function columns(
  rows: readonly (readonly [left: string, right: string])[],
  options: { readonly indent: number; readonly left: number; readonly width: number },
): string {
  const { indent, left, width } = options
  const gap = 2
  const right = Math.max(24, width - indent - left - gap)
  return rows
    .flatMap(([name, text]) => {
      const [first = '', ...rest] = wrap(text, right)
      const margin = ' '.repeat(indent + left + gap)
      const start = `${' '.repeat(indent)}${padShown(name, left)}`
      const head =
        shownLength(name) > left ? [start, `${margin}${first}`] : [`${start}${' '.repeat(gap)}${first}`]
      return [...head, ...rest.map((line) => `${margin}${line}`)].map((line) => line.trimEnd())
    })
    .join('\n')
}
