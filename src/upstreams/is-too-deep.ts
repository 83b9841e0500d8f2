/** Levels of objects and lists in a message. Schemas nest some tens; written out again, thousands overflow the stack. */
export const MOST_LEVELS = 512

/** Whether JSON text nests deeper than a message may. Text that is no JSON gives any answer. */
export function isTooDeep(text: string): boolean {
  // Each level takes two characters.
  if (text.length < 2 * MOST_LEVELS) return false
  let level = 0
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = endOfString(text, at)
      if (at === -1) return false
    } else if (code === OPEN_OBJECT || code === OPEN_LIST) {
      level += 1
      if (level > MOST_LEVELS) return true
    } else if (code === CLOSE_OBJECT || code === CLOSE_LIST) level -= 1
  }
  return false
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_LIST = 0x5b
const CLOSE_LIST = 0x5d

/** Where the string that begins at `from` ends; -1 when it does not. */
function endOfString(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let backslashes = 0
    while (text.charCodeAt(at - 1 - backslashes) === BACKSLASH) backslashes += 1
    if (backslashes % 2 === 0) return at
  }
  return -1
}
