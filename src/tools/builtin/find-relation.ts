import { type Refusal, refusal } from '../../access/refusal.ts'
import type { SchemaCatalogue } from '../../databases/schema/catalogue.ts'
import { displayName, type Relation } from '../../databases/schema/relation.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { nearestWord } from '../../lib/spelling.ts'

const MOST_CANDIDATES = 5

/**
 * The one relation that is meant by `customers`, `sales.customers`, or a name and a schema. Names that are
 * near are offered when there is none; a bare name in several schemas means the one in `public`.
 */
export function findRelation(
  catalogue: SchemaCatalogue,
  name: string,
  schema: string | undefined,
): Result<Relation, Refusal> {
  const dot = name.indexOf('.')
  const whole = catalogue.find(name, schema)
  const found =
    whole.length === 0 && schema === undefined && dot > 0
      ? catalogue.find(name.slice(dot + 1), name.slice(0, dot))
      : whole
  const [only] = found
  if (found.length === 1 && only) return ok(only)
  if (found.length > 1) {
    const usual = found.find((relation) => relation.schema === 'public')
    if (usual) return ok(usual)
    const candidates = found.slice(0, MOST_CANDIDATES).map(displayName)
    return err(
      refusal('not_found', 'table', `there are several tables "${name}": name the schema, too`, {
        candidates,
      }),
    )
  }
  const near = nearestWord(
    name.slice(dot + 1),
    catalogue.relations.map((relation) => relation.name),
  )
  const candidates = catalogue
    .find(near ?? '')
    .concat(catalogue.search(name, MOST_CANDIDATES).map((match) => match.relation))
    .map(displayName)
  const distinct = [...new Set(candidates)].slice(0, MOST_CANDIDATES)
  return err(
    refusal(
      'not_found',
      'table',
      `there is no table or view "${schema === undefined ? name : `${schema}.${name}`}" that this credential's database role may read${distinct.length === 0 ? '' : `; did you mean ${distinct.join(', ')}?`}`,
      distinct.length === 0 ? {} : { candidates: distinct },
    ),
  )
}

/** For SQL: quoted, so that any name is only ever a name. */
export const quoteName = ({ schema, name }: { schema: string; name: string }): string =>
  [schema, name].map((part) => `"${part.replaceAll('"', '""')}"`).join('.')
