import { escapeIdentifier } from 'pg'

/** A qualified name, always in quotes: what is in a name must never be read as SQL. */
export const quoteRelation = ({ schema, name }: { readonly schema: string; readonly name: string }): string =>
  `${escapeIdentifier(schema)}.${escapeIdentifier(name)}`

/** The same for people, without quotes where there is nothing to mistake. */
export const shownRelation = ({ schema, name }: { readonly schema: string; readonly name: string }): string =>
  [schema, name].map((part) => (/^[a-z_][a-z0-9_$]*$/.test(part) ? part : escapeIdentifier(part))).join('.')
