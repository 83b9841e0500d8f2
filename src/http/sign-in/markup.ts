/** Text that is HTML already. */
export class Markup {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

export const NOTHING = new Markup('')

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

const escape = (text: string): string => text.replaceAll(/[&<>"']/g, (sign) => ENTITIES[sign] ?? '')

/** HTML whose values are escaped, in elements and in quoted attributes, unless they are `Markup` themselves. */
export function markup(parts: TemplateStringsArray, ...values: readonly (string | Markup)[]): Markup {
  const written = values.map((value) => (typeof value === 'string' ? escape(value) : value.text))
  return new Markup(parts.map((part, index) => part + (written[index] ?? '')).join(''))
}

/** A value of somebody else's at a length that a page can show; what turns the direction of text is left out. */
export function shown(text: string, longest = 200): string {
  const letters = Array.from(text.replaceAll(/[\p{Cc}\p{Cf}]/gu, ''))
  return letters.length > longest ? `${letters.slice(0, longest).join('')}…` : letters.join('')
}
