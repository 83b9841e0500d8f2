/**
 * Words of an identifier or a sentence, in lower case and without accents: `orderLines2024`, `order_lines_2024`
 * and `Order lines, 2024` are the same three words.
 */
export function words(text: string): string[] {
  return (
    text
      .replaceAll(/(\p{Ll}|\p{N})(\p{Lu})/gu, '$1 $2')
      .replaceAll(/(\p{Lu})(\p{Lu}\p{Ll})/gu, '$1 $2')
      .replaceAll(/(\p{L})(\p{N})/gu, '$1 $2')
      .normalize('NFD')
      .replaceAll(/\p{M}/gu, '')
      .toLowerCase()
      .match(/[\p{L}\p{N}]+/gu) ?? []
  )
}

/**
 * Takes the English endings off that tell `customer` from `customers`, `delivery` from `deliveries`, `ship` from
 * `shipping`. Both sides of a comparison pass through it, so it need not give a real word.
 */
export function stem(word: string): string {
  let rest = word
  if (rest.length > 4 && rest.endsWith('ies')) rest = `${rest.slice(0, -3)}y`
  else if (/(ss|us|x|ch|sh)es$/.test(rest)) rest = rest.slice(0, -2)
  else if (rest.length > 2 && /[^sui]s$/.test(rest)) rest = rest.slice(0, -1)
  const shorter = /^(.{3,})(?:ing|ed)$/.exec(rest)?.[1]
  if (shorter !== undefined && /[aeiouy]/.test(shorter)) rest = shorter.replace(/([bdgmnprt])\1$/, '$1')
  return rest.length > 3 && rest.endsWith('e') ? rest.slice(0, -1) : rest
}

/** Words of a question that name nothing in a schema. */
const STOP_WORDS = new Set(
  `a about all am an and any are as at be by can could count did do does each every find for from get give had has have how i if in into is it its
   last latest list many me more most much my need of on or our please recent select show than that the their them there these they this
   those to top us want was we were what when where which who whose will with would you your`.split(/\s+/),
)

/** The words to look for: without stop words, unless nothing else is there; each once. */
export function questionWords(question: string): string[] {
  const all = [...new Set(words(question))]
  const telling = all.filter((word) => !STOP_WORDS.has(word))
  return telling.length > 0 ? telling : all
}
