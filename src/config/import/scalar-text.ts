/** Words that some reader of YAML takes for something else than text. */
const AMBIGUOUS = /^(?:true|false|null|yes|no|on|off|y|n|[-+]?\.?\d.*|-.*|\.(?:inf|nan))$/i

/** A word as YAML writes it: plain where every reader takes it for text, else in double quotes (JSON is YAML). */
export const yamlText = (text: string): string =>
  /^[A-Za-z0-9./$_-][A-Za-z0-9./$_:@=|-]*$/.test(text) && !AMBIGUOUS.test(text) && !text.endsWith(':')
    ? text
    : JSON.stringify(text)

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1_000],
] as const

/** A number of milliseconds as a person writes it. */
export function durationText(milliseconds: number): string {
  const [unit, size] = UNITS.find(([, candidate]) => milliseconds % candidate === 0) ?? ['ms', 1]
  return milliseconds === 0 ? '0' : `${milliseconds / size}${unit}`
}
