import { editDistance } from '../../lib/spelling.ts'

/** How an indexed word answers a word that was asked for, the best first. */
export type Likeness = 'same' | 'beginning' | 'part' | 'near'

export interface Candidate {
  readonly term: number
  readonly likeness: Likeness
  /** 1 for the same word, less for others. */
  readonly weight: number
}

/** Words that one asked word may lead to: enough for any schema that people can read. */
const MOST_CANDIDATES = 64
/** Words looked at for three letters: a generated schema may have a hundred thousand that begin with `col`. */
const MOST_LOOKED_AT = 10_000
const LONGEST_WORD = 64
const SHORTEST_PART = 3

/** All distinct words of a schema, found by their beginning, a part of them, or a near spelling. */
export class Vocabulary {
  readonly #ids = new Map<string, number>()
  readonly #terms: string[] = []
  /** Word numbers by three letters; `$` marks both ends of a word. */
  readonly #trigrams = new Map<string, number[]>()

  /** The number of a word, which is new when it was not known. */
  add(term: string): number {
    const known = this.#ids.get(term)
    if (known !== undefined) return known
    const id = this.#terms.length
    this.#ids.set(term, id)
    this.#terms.push(term)
    for (const trigram of new Set(trigramsOf(term))) {
      const list = this.#trigrams.get(trigram)
      if (list) list.push(id)
      else this.#trigrams.set(trigram, [id])
    }
    return id
  }

  get size(): number {
    return this.#terms.length
  }

  /** Words like the one asked for, the best first. Near spellings count only where there is no such word. */
  candidates(asked: string): Candidate[] {
    const word = asked.slice(0, LONGEST_WORD)
    const exact = this.#ids.get(word)
    const found: Candidate[] = exact === undefined ? [] : [{ term: exact, likeness: 'same', weight: 1 }]
    if (word.length < SHORTEST_PART) return found
    found.push(...this.#containing(word, exact))
    if (exact === undefined) {
      const seen = new Set(found.map((candidate) => candidate.term))
      found.push(...this.#near(word).filter((candidate) => !seen.has(candidate.term)))
    }
    return found.sort((a, b) => b.weight - a.weight || a.term - b.term).slice(0, MOST_CANDIDATES)
  }

  #containing(word: string, exact: number | undefined): Candidate[] {
    // A word that contains another contains its rarest three letters.
    let rarest: readonly number[] | undefined
    for (let at = 0; at + 3 <= word.length; at++) {
      const list = this.#trigrams.get(word.slice(at, at + 3))
      if (!list) return []
      if (!rarest || list.length < rarest.length) rarest = list
    }
    const found: Candidate[] = []
    for (const term of (rarest ?? []).slice(0, MOST_LOOKED_AT)) {
      if (term === exact) continue
      const text = this.#terms[term] ?? ''
      const at = text.indexOf(word)
      if (at < 0) continue
      const share = word.length / text.length
      found.push(
        at === 0
          ? { term, likeness: 'beginning', weight: 0.4 + 0.5 * share }
          : { term, likeness: 'part', weight: 0.25 + 0.4 * share },
      )
    }
    return found
  }

  #near(word: string): Candidate[] {
    const allowed = word.length < 4 ? 0 : word.length < 8 ? 1 : 2
    if (allowed === 0) return []
    const shared = new Map<number, number>()
    const trigrams = trigramsOf(word)
    for (const trigram of trigrams) {
      for (const term of (this.#trigrams.get(trigram) ?? []).slice(0, MOST_LOOKED_AT))
        shared.set(term, (shared.get(term) ?? 0) + 1)
    }
    // One edit touches three trigrams, a swap four.
    const least = Math.max(1, trigrams.length - 4 * allowed)
    const found: Candidate[] = []
    for (const [term, count] of shared) {
      if (count < least) continue
      const text = this.#terms[term] ?? ''
      if (Math.abs(text.length - word.length) > allowed) continue
      const distance = editDistance(word, text)
      if (distance > allowed) continue
      found.push({ term, likeness: 'near', weight: 0.7 - (0.8 * distance) / word.length })
    }
    return found
  }
}

function trigramsOf(term: string): string[] {
  const padded = `$${term}$`
  const list: string[] = []
  for (let at = 0; at + 3 <= padded.length; at++) list.push(padded.slice(at, at + 3))
  return list
}
