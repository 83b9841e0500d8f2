/** The first items whose sizes together stay within `most`; the first one always, so that an answer is never empty. */
export function fitting<T>(items: readonly T[], most: number, sizeOf: (item: T) => number): readonly T[] {
  let total = 0
  for (const [at, item] of items.entries()) {
    total += sizeOf(item)
    if (total > most && at > 0) return items.slice(0, at)
  }
  return items
}
