import type { SchemaCatalogue } from '../../databases/schema/catalogue.ts'
import type { Relation } from '../../databases/schema/relation.ts'
import { relationText } from '../builtin/relation-text.ts'

/** The part of a schema that a question needs. */
export interface SchemaExtract {
  readonly relations: readonly Relation[]
  readonly text: string
}

const MOST_RELATIONS = 10
const MOST_CHARS = 16_000
/** A schema of so few tables is given whole: better too much than the wrong half. */
const SMALL_SCHEMA = 6

export function schemaExtract(catalogue: SchemaCatalogue, question: string): SchemaExtract {
  const found = catalogue.search(question, MOST_RELATIONS).map((match) => match.relation)
  const relations =
    catalogue.relations.length <= SMALL_SCHEMA
      ? catalogue.relations
      : found.length > 0
        ? found
        : catalogue.relations.slice(0, MOST_RELATIONS)
  const kept: Relation[] = []
  const texts: string[] = []
  let chars = 0
  for (const relation of relations) {
    const text = relationText(relation)
    chars += text.length
    if (kept.length > 0 && chars > MOST_CHARS) break
    kept.push(relation)
    texts.push(text.slice(0, MOST_CHARS))
  }
  return { relations: kept, text: texts.join('\n\n') }
}
