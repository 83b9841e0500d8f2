/** Damerau-Levenshtein distance (optimal string alignment): edits, and swaps of neighbours, between two words. */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const replaced = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      let least = Math.min(replaced, (last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        least = Math.min(least, (beforeLast[j - 2] ?? 0) + 1)
      row.push(least)
    }
    beforeLast = last
    last = row
  }
  return last[b.length] ?? 0
}

/** Case, hyphens and underscores do not make another word: `base_url` is `baseUrl`. */
const plain = (word: string): string => word.toLowerCase().replaceAll(/[-_\s]/g, '')

/** Longer words are not compared: nobody mistypes them, and the distance costs the product of the lengths. */
const LONGEST_WORD = 64

/** The candidate that a mistyped word most likely meant, or `undefined` when none is near. */
export function nearestWord(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > LONGEST_WORD) return undefined
  const typed = plain(word)
  let best: string | undefined
  let least = Math.max(1, Math.floor(typed.length / 3)) + 1
  for (const candidate of candidates) {
    const known = plain(candidate)
    if (Math.abs(known.length - typed.length) >= least) continue
    const distance = editDistance(typed, known)
    if (distance < least && distance < known.length) {
      least = distance
      best = candidate
    }
  }
  return best
}
