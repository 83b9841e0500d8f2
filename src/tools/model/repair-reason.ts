import type { Refusal } from '../../access/refusal.ts'

/** Quotation marks that PostgreSQL uses in its messages, in any of its languages. */
const QUOTE = /["'`«»‹›„“”‚‘’「」『』]/gu

/**
 * Why a statement was refused, for the model that wrote it. PostgreSQL quotes cells in its messages (`invalid
 * input syntax for type integer: "…"`), and a function may raise any text, but rows are never sent to a model.
 * Only an error with a place in the statement came from reading the statement's own text rather than rows, so
 * only its message is sent, and of what is quoted there only what the model wrote itself. The gate's own
 * reasons are made of the statement and of names.
 *
 * @param sql the statement that the model wrote
 */
export function repairReason(refused: Refusal, sql: string): string {
  const { sqlstate, position, rule, message } = refused
  if (sqlstate === undefined) return `${message} (rule ${rule})`
  const where = position === undefined ? '' : ` at character ${position}`
  const facts = `rule ${rule}, SQLSTATE ${sqlstate}${where}`
  return position === undefined ? facts : `${withoutForeignQuotes(message, sql)} (${facts})`
}

/** Cuts from the first quotation that is not in `sql` to the last mark: a value may hold marks of its own. */
function withoutForeignQuotes(message: string, sql: string): string {
  const marks = [...message.matchAll(QUOTE)].map(({ index }) => index)
  for (let at = 0; at < marks.length; at += 2) {
    const open = marks[at] as number
    const close = marks[at + 1]
    const known =
      close !== undefined && sql.toLowerCase().includes(message.slice(open + 1, close).toLowerCase())
    if (known) continue
    // A single mark opens what never closes: the rest of the message is inside it.
    const rest = close === undefined ? '' : message.slice((marks.at(-1) as number) + 1)
    return `${message.slice(0, open)}…${rest}`
  }
  return message
}
