import type { PlannedStatement } from './plan.ts'

/**
 * What goes before the statements of a plan. Names without a schema mean PostgreSQL's own, whatever the database
 * holds; a table that somebody reads for hours is not waited for, with everybody else waiting behind.
 */
export const PREAMBLE = [
  'SET LOCAL search_path TO pg_catalog, pg_temp',
  'SET LOCAL standard_conforming_strings = on',
  "SET LOCAL lock_timeout = '10s'",
] as const

/** The statements as a script for `psql`: one transaction, and before each statement why it is there. */
export function planScript(statements: readonly PlannedStatement[], heading: string): string {
  let last = ''
  const lines = statements.flatMap(({ sql, why }) => {
    const comment = why === last ? [] : ['', `-- ${oneLine(why)}`]
    last = why
    return [...comment, `${sql};`]
  })
  return [
    `-- ${oneLine(heading)}`,
    'BEGIN;',
    ...PREAMBLE.map((sql) => `${sql};`),
    ...lines,
    '',
    'COMMIT;',
  ].join('\n')
}

/** A name with a line break must not end the comment that it is shown in. */
const oneLine = (text: string): string => text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]/gu, '\uFFFD')
