/** Sections whose credentials nobody but the gateway shows to anybody. The tokens of callers are in none of them. */
const SECTIONS = new Set(['mcpServers', 'servers', 'databases', 'database', 'model'])
const GROUPS = new Set(['env', 'headers'])
const KEYS = new Set(['args', 'password', 'apiKey', 'clientSecret'])

/** Can stand at any place of a URL, a port included. */
export const STAND_IN = '0'

/**
 * Whether a command that only administers can do without the variable that a value refers to: a credential, or a part of
 * an address, that only the gateway itself will use. Somebody who has to revoke a token at once should not have to
 * collect the passwords of every server first.
 *
 * @param keys the way to the value, from the top of the file
 * @param text the value as written
 */
export function isLeftOpen(keys: readonly string[], text: string): boolean {
  // Shown to a provider by the gateway, while the rest of the section says what its users may be.
  if (keys[0] === 'auth' && keys[1] === 'oidc') return keys.at(-1) === 'clientSecret'
  if (!SECTIONS.has(keys[0] ?? '')) return false
  const key = keys.at(-1) ?? ''
  if (GROUPS.has(keys.at(-2) ?? '') || KEYS.has(key)) return true
  return key.toLowerCase().endsWith('url') && /^[a-z]+:\/\/./.test(text)
}
