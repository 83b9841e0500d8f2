import { isPassedOn } from './environment.ts'

/** Shorter values are words such as `info` or `8080`, which no log could do without. */
const SHORTEST = 8

/** Of a value that was cut off, fewer characters say nothing. */
const TELLING = 4

/** Takes out of a line what must not stand in a log. `cut`: there was more of it. */
export type Redact = (line: string, cut?: boolean) => string

/**
 * A server may well print the credential that it was given, in a message about why it is refused somewhere. What it
 * writes goes to the log, where no credential may stand: each configured value is shown as the name of its variable.
 *
 * @param environment of the process
 */
export function redactor(environment: Readonly<Record<string, string>>): Redact {
  const secrets = Object.entries(environment)
    .filter(([name]) => !isPassedOn(name))
    // A key of many lines is printed line by line.
    .flatMap(([name, value]) => value.split(/[\r\n]+/).map((line) => ({ name, value: line.trim() })))
    .filter(({ value }) => value.length >= SHORTEST)
    // One may be a part of another.
    .toSorted((a, b) => b.value.length - a.value.length)
  if (secrets.length === 0) return (line) => line
  return (line, cut = false) => {
    let shown = line
    for (const { name, value } of secrets) {
      shown = shown.replaceAll(value, `[${name}]`)
      if (cut) shown = withoutBeginning(shown, value, `[${name}]`)
    }
    return shown
  }
}

/** A line that was cut may end in the middle of a value. */
function withoutBeginning(line: string, value: string, instead: string): string {
  for (let length = Math.min(value.length - 1, line.length); length >= TELLING; length -= 1)
    if (line.endsWith(value.slice(0, length))) return line.slice(0, -length) + instead
  return line
}
