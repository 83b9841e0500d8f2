import type { Secret } from '../../lib/secret.ts'
import type { HttpReach, UserCredentialPlace } from '../options.ts'

/** Names and values in turn, as undici takes them. */
export type HeaderList = readonly string[]

/**
 * The headers that Postern adds to every request to a server: the configured ones and, where it has a place, the
 * caller's own credential, which replaces a configured header of the same name.
 *
 * Headers that frame the message or carry the protocol are Postern's to set: configured ones of these names are
 * left out, since two of them would make one request mean two things.
 *
 * @param bearer a token of client credentials is added to each request, in place of a configured `Authorization`
 */
export function ownHeaders(
  configured: HttpReach['headers'],
  place: UserCredentialPlace | null,
  ownSecret: Secret | null,
  bearer = false,
): HeaderList {
  const headers = new Map<string, string>([['user-agent', 'postern']])
  for (const [name, value] of Object.entries(configured)) {
    const lower = name.toLowerCase()
    if (!isReserved(lower) && !(bearer && lower === 'authorization')) headers.set(lower, value.reveal())
  }
  if (ownSecret && place?.kind === 'header') {
    headers.set(place.header.toLowerCase(), place.prefix + ownSecret.reveal())
  }
  return [...headers].flat()
}

const RESERVED: ReadonlySet<string> = new Set([
  'accept',
  'accept-encoding',
  'connection',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'keep-alive',
  'last-event-id',
  'mcp-method',
  'mcp-name',
  'mcp-protocol-version',
  'mcp-session-id',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

const isReserved = (name: string): boolean => RESERVED.has(name) || name.startsWith('mcp-param-')
