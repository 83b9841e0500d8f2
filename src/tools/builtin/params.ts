import * as z from 'zod'

/** Values for $1, $2, … of a statement. */
export const paramsArgument = z
  .array(z.union([z.string().max(1_000_000), z.number(), z.boolean(), z.null()]))
  .max(100)
  .optional()
  .describe('Values for $1, $2, … in the SQL')
