import type { RelationFacts } from './protection-facts.ts'

/** The parts of `table`, `schema.table` or `"Schema"."Ta.ble"`; what is not in quotes is taken as it is written. */
export function nameParts(text: string): readonly string[] {
  const parts = [...text.matchAll(/"((?:[^"]|"")*)"|([^".]+)/g)].map(
    ([, quoted, plain]) => quoted?.replaceAll('""', '"') ?? plain ?? '',
  )
  return parts
}

/** The relations that a name means: in any of `schemas` when it names none. */
export function relationsNamed(
  text: string,
  relations: readonly RelationFacts[],
  schemas: readonly string[],
): readonly RelationFacts[] {
  const parts = nameParts(text)
  const [first = '', second] = parts
  if (parts.length > 2) return []
  return relations.filter(({ schema, name }) =>
    second === undefined ? name === first && schemas.includes(schema) : schema === first && name === second,
  )
}
