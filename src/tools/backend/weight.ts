/** What a member or an element costs beside its text, in characters: about what it takes in memory. */
const EACH = 8

/**
 * About how many characters a value has as JSON text, without making that text. Stops counting beyond `most`, so that
 * weighing what is far too heavy costs little.
 */
export function weight(value: unknown, most = Number.POSITIVE_INFINITY): number {
  let total = 0
  // No recursion: how deep a value goes is somebody else's choice.
  const rest: unknown[] = [value]
  while (rest.length > 0 && total <= most) {
    const one = rest.pop()
    total += EACH
    if (typeof one === 'string') total += one.length
    else if (Array.isArray(one)) for (const element of one) rest.push(element)
    else if (typeof one === 'object' && one !== null)
      for (const [key, member] of Object.entries(one)) {
        total += key.length
        rest.push(member)
      }
  }
  return total
}
