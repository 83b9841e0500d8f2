import type { Caller } from '../../identity/caller.ts'

/**
 * The same caller with the right to read only. For SQL that the caller did not write word by word: what a
 * model wrote may have been dictated by a comment in the schema, and an admin's right to write is not for it.
 */
export const asReader = (caller: Caller): Caller => ({
  ...caller,
  grant: { ...caller.grant, level: 'read-only' },
})
