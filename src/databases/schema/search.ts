import { setImmediate as breathe } from 'node:timers/promises'
import { displayName, type Relation } from './relation.ts'
import { type Candidate, type Likeness, Vocabulary } from './vocabulary.ts'
import { questionWords, stem, words } from './words.ts'

/** One relation that answers a search, with what in it did. */
export interface SchemaMatch {
  readonly relation: Relation
  /** Comparable within one search only. */
  readonly score: number
  /** The reasons, the strongest first: `name: customers`, `column: customer_id`, `comment: …`, `joins: orders`. */
  readonly reasons: readonly string[]
}

export interface SchemaSearch {
  search(query: string, limit: number): SchemaMatch[]
}

/** Where in a relation a word occurs, and what that is worth. The order is that of the postings. */
const FIELDS = [
  { name: 'name', weight: 10 },
  { name: 'column', weight: 4 },
  { name: 'comment', weight: 3 },
  { name: 'column comment', weight: 1.5 },
  { name: 'key', weight: 1.5 },
  { name: 'value', weight: 1 },
  { name: 'schema', weight: 1 },
] as const

type Field = (typeof FIELDS)[number]['name']
const fieldNumber = new Map<Field, number>(FIELDS.map((field, at) => [field.name, at]))
const FIELD_BITS = 3

/** Words of a question beyond these add nothing but time. */
const MOST_WORDS = 16
const MOST_QUERY_CHARS = 1_000
/** Relations after which other work gets its turn while an index is built. */
const CHUNK_RELATIONS = 50
/** How much of its score a relation lends to those it is joined with. */
const NEIGHBOUR_SHARE = 0.15
/** Of two that answer alike, the table comes before the view made of it. */
const VIEW_SHARE = 0.95
/** The best matches that lend it. */
const LENDERS = 10

/**
 * Indexes relations by the words of their names, columns, comments, keys and enum values. A search then
 * touches only the words it asks for, not the relations.
 */
export async function buildSearch(relations: readonly Relation[]): Promise<SchemaSearch> {
  const vocabulary = new Vocabulary()
  const growing: Set<number>[] = []
  for (const [number, relation] of relations.entries()) {
    if (number % CHUNK_RELATIONS === CHUNK_RELATIONS - 1) await breathe()
    for (const [field, text] of texts(relation)) {
      const low = fieldNumber.get(field) ?? 0
      for (const term of termsOf(text, field)) {
        const id = vocabulary.add(term)
        const postings = (growing[id] ??= new Set())
        postings.add((number << FIELD_BITS) | low)
      }
    }
  }
  const postings: Uint32Array[] = []
  for (const [id, set] of growing.entries()) {
    postings.push(Uint32Array.from(set))
    if (id % 5_000 === 4_999) await breathe()
  }
  return new Index(relations, vocabulary, postings)
}

function* texts(relation: Relation): Generator<[Field, string]> {
  yield ['name', relation.name]
  yield ['schema', relation.schema]
  if (relation.comment !== null) yield ['comment', relation.comment]
  for (const column of relation.columns) {
    yield ['column', column.name]
    if (column.comment !== null) yield ['column comment', column.comment]
    for (const value of column.values ?? []) yield ['value', value]
  }
  for (const key of relation.foreignKeys) yield ['key', key.target.name]
}

/** The stems of a text and, for names of several words, all of them as one: `orderlines` finds `order_lines`. */
function termsOf(text: string, field: Field): string[] {
  const parts = words(text)
  const terms = parts.map(stem)
  if (parts.length > 1 && (field === 'name' || field === 'column')) terms.push(stem(parts.join('')))
  return terms
}

class Index implements SchemaSearch {
  readonly #relations: readonly Relation[]
  readonly #vocabulary: Vocabulary
  /** By word number: relation number and field, packed. */
  readonly #postings: readonly Uint32Array[]
  readonly #numbers: ReadonlyMap<string, number>
  /** A word is more of `orders` than of `order_lines`. */
  readonly #nameShares: Float32Array

  constructor(relations: readonly Relation[], vocabulary: Vocabulary, postings: readonly Uint32Array[]) {
    this.#relations = relations
    this.#vocabulary = vocabulary
    this.#postings = postings
    this.#nameShares = Float32Array.from(
      relations,
      (relation) => 0.7 + 0.3 / Math.max(1, words(relation.name).length),
    )
    this.#numbers = new Map(relations.map((relation, number) => [idOf(relation), number]))
  }

  search(query: string, limit: number): SchemaMatch[] {
    const asked = questionWords(query.slice(0, MOST_QUERY_CHARS)).slice(0, MOST_WORDS)
    if (asked.length === 0) return []
    const scores = this.#score(asked)
    const whole = stem(words(query).join(''))
    for (const [number, score] of scores) {
      const relation = this.#relations[number]
      if (relation && stem(words(relation.name).join('')) === whole) scores.set(number, score * 2)
    }
    const best = this.#ranked(scores, Math.max(limit, LENDERS))
    const lent = this.#lend(scores, best.slice(0, LENDERS))
    return this.#ranked(scores, limit).map(([number, score]) => {
      const relation = this.#relations[number] as Relation
      const reasons = reasonsFor(relation, asked)
      const lenders = lent.get(number) ?? []
      if (reasons.length === 0) for (const lender of lenders) reasons.push(`joins: ${lender}`)
      return { relation, score: Math.round(score * 1000) / 1000, reasons }
    })
  }

  /** A relation earns the best of each asked word, and more than the sum when it answers several of them. */
  #score(asked: readonly string[]): Map<number, number> {
    const total = new Map<number, number>()
    const answered = new Map<number, number>()
    for (const word of asked) {
      const best = new Map<number, number>()
      const candidates = this.#vocabulary.candidates(stem(word))
      // One rarity for the word and all that is like it: a rare longer word must not beat the word itself.
      const count = candidates.reduce((sum, { term }) => sum + (this.#postings[term]?.length ?? 0), 0)
      const rarity = Math.log(1 + this.#relations.length / (1 + count))
      for (const candidate of candidates) {
        const postings = this.#postings[candidate.term] ?? new Uint32Array()
        for (const posting of postings) {
          const number = posting >>> FIELD_BITS
          const low = posting & ((1 << FIELD_BITS) - 1)
          const weight = (FIELDS[low]?.weight ?? 0) * (low === 0 ? (this.#nameShares[number] ?? 1) : 1)
          // Even a word that every table has is worth something, when it is the name of one.
          const score = weight * candidate.weight * (0.3 + rarity)
          if (score > (best.get(number) ?? 0)) best.set(number, score)
        }
      }
      for (const [number, score] of best) {
        total.set(number, (total.get(number) ?? 0) + score)
        answered.set(number, (answered.get(number) ?? 0) + 1)
      }
    }
    for (const [number, score] of total) {
      const kind = this.#relations[number]?.kind.includes('view') ? VIEW_SHARE : 1
      total.set(number, score * kind * (0.25 + (0.75 * (answered.get(number) ?? 0)) / asked.length))
    }
    return total
  }

  /** Tables that a good match is joined with are needed to write SQL for it. */
  #lend(
    scores: Map<number, number>,
    best: readonly (readonly [number: number, score: number])[],
  ): Map<number, string[]> {
    const lent = new Map<number, string[]>()
    for (const [number, score] of best) {
      const lender = this.#relations[number]
      if (!lender) continue
      const joined = [
        ...lender.foreignKeys.map((key) => key.target),
        ...lender.referencedBy.map((key) => key.source),
      ]
      for (const neighbour of new Set(joined.map(idOf))) {
        const other = this.#numbers.get(neighbour)
        if (other === undefined || other === number) continue
        // What everything leads to, such as a table of tenants, tells little.
        const hub = Math.sqrt(Math.max(1, this.#relations[other]?.referencedBy.length ?? 1))
        scores.set(other, (scores.get(other) ?? 0) + (score * NEIGHBOUR_SHARE) / hub)
        const list = lent.get(other) ?? []
        lent.set(other, list)
        if (list.length < 3) list.push(displayName(lender))
      }
    }
    return lent
  }

  /** The best, without sorting all: ten thousand relations may share a word. */
  #ranked(scores: ReadonlyMap<number, number>, limit: number): (readonly [number, number])[] {
    const best: [number, number][] = []
    const before = (a: readonly [number, number], b: readonly [number, number]): boolean =>
      a[1] > b[1] || (a[1] === b[1] && a[0] < b[0])
    for (const entry of scores) {
      const last = best.at(-1)
      if (best.length === limit && last && !before(entry, last)) continue
      let at = best.length
      while (at > 0 && before(entry, best[at - 1] as [number, number])) at--
      best.splice(at, 0, entry)
      if (best.length > limit) best.pop()
    }
    return best
  }
}

const idOf = (relation: { readonly schema: string; readonly name: string }): string =>
  `${relation.schema}\u0000${relation.name}`

const MOST_REASONS = 5
const COMMENT_SHOWN = 80

/** Says, for one relation, where the words were found. Done for the few that are shown, not for all. */
function reasonsFor(relation: Relation, asked: readonly string[]): string[] {
  const own = new Vocabulary()
  const places = new Map<number, Set<string>>()
  for (const [field, text] of texts(relation)) {
    const shown = `${field}: ${text.length > COMMENT_SHOWN ? `${text.slice(0, COMMENT_SHOWN)}…` : text}`
    for (const term of termsOf(text, field)) {
      const id = own.add(term)
      const set = places.get(id) ?? new Set()
      places.set(id, set.add(shown))
    }
  }
  const found = new Map<string, { rank: number; likeness: Likeness }>()
  for (const word of asked) {
    for (const candidate of own.candidates(stem(word))) {
      for (const place of places.get(candidate.term) ?? []) note(found, place, candidate)
    }
  }
  return [...found]
    .sort((a, b) => b[1].rank - a[1].rank)
    .slice(0, MOST_REASONS)
    .map(([place, { likeness }]) => (likeness === 'near' ? `${place} (near spelling)` : place))
}

function note(
  found: Map<string, { rank: number; likeness: Likeness }>,
  place: string,
  candidate: Candidate,
): void {
  const field = FIELDS.find(({ name }) => place.startsWith(`${name}: `))
  const rank = (field?.weight ?? 0) * candidate.weight
  const known = found.get(place)
  if (!known || known.rank < rank) found.set(place, { rank, likeness: candidate.likeness })
}
