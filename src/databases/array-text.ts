/**
 * Reads PostgreSQL's text form of an array, `{1,NULL,"a \"b\""}`, nested ones and ones with bounds
 * (`[0:1]={…}`) included; the bounds are dropped, as JSON has none (PostgreSQL manual, "Array Input and Output").
 *
 * @returns `null` when the text is not an array with commas between its elements
 */
export function parseArrayText(text: string, element: (text: string) => unknown): unknown[] | null {
  let at = text.startsWith('[') ? text.indexOf('=') + 1 : 0

  const quoted = (): string => {
    let value = ''
    for (at += 1; at < text.length && text[at] !== '"'; at += 1) {
      if (text[at] === '\\') at += 1
      value += text[at] ?? ''
    }
    at += 1
    return value
  }

  const bare = (): string => {
    const start = at
    while (at < text.length && text[at] !== ',' && text[at] !== '}') at += 1
    return text.slice(start, at)
  }

  const list = (): unknown[] | null => {
    if (text[at] !== '{') return null
    at += 1
    const values: unknown[] = []
    if (text[at] === '}') {
      at += 1
      return values
    }
    for (;;) {
      if (text[at] === '{') {
        const inner = list()
        if (inner === null) return null
        values.push(inner)
      } else if (text[at] === '"') {
        values.push(element(quoted()))
      } else {
        const word = bare()
        values.push(word === 'NULL' ? null : element(word))
      }
      if (text[at] === ',') at += 1
      else if (text[at] === '}') {
        at += 1
        return values
      } else return null
    }
  }

  const values = list()
  return at === text.length ? values : null
}

/** Writes a list as PostgreSQL's text form of an array. */
export function formatArrayText(
  values: readonly unknown[],
  element: (value: unknown) => string | null,
): string {
  const parts = values.map((value) => {
    if (Array.isArray(value)) return formatArrayText(value, element)
    const text = element(value)
    return text === null ? 'NULL' : `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`
  })
  return `{${parts.join(',')}}`
}
