import { TypeOverrides, types } from 'pg'

/**
 * `bigint` as a number. Times and revisions stay far below 2^53, and a value that does not is a defect
 * that must not pass as a rounded one.
 */
export const postgresTypes = new TypeOverrides()

postgresTypes.setTypeParser(types.builtins.INT8, (value) => {
  const number = Number(value)
  if (!Number.isSafeInteger(number)) throw new RangeError(`${value} does not fit into a number`)
  return number
})
