import { type Refusal, refusal } from '../../access/refusal.ts'

/**
 * The refusal of a server that is not there.
 *
 * @param usable names of the servers that the caller may use: the rest of the configuration is none of its business
 */
export function unknownServer(name: string, usable: readonly string[]): Refusal {
  const message = `there is no server "${name.slice(0, 128)}"`
  return usable.length === 0
    ? refusal('not_found', 'server', message, { allowed: 'the tools of Postern itself, at /mcp' })
    : refusal('not_found', 'server', message, {
        allowed: `servers ${usable.join(', ')}`,
        candidates: usable,
      })
}
