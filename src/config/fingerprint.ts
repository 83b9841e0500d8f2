import { createHmac } from 'node:crypto'
import { Secret } from '../lib/secret.ts'
import type { Settings } from './settings.ts'

/** `Settings` as JSON holds them, every secret replaced by its fingerprint. */
export type Fingerprinted = { readonly [key: string]: unknown }

const MARK = 'fingerprint:'

/**
 * Hex digits of a fingerprint. Sixteen bits tell a changed secret from the same one, and too many secrets have the
 * same sixteen bits for one of them to be found by trying a word list.
 */
const DIGITS = 4

export const isFingerprint = (value: unknown): boolean =>
  typeof value === 'string' && value.length === MARK.length + DIGITS && value.startsWith(MARK)

/**
 * The settings without a secret, so that they can be written down and compared with others later.
 *
 * @param salt random text, the same for both sides of a comparison
 */
export function fingerprinted(settings: Settings, salt: string): Fingerprinted {
  const print = (text: string): string =>
    `${MARK}${createHmac('sha256', salt).update(text).digest('hex').slice(0, DIGITS)}`
  const convert = (value: unknown, path: string): unknown => {
    if (value instanceof Secret) return print(value.reveal())
    if (typeof value === 'string') {
      // What a program gets as arguments, and what stands in the query of a URL, can be a key.
      if (/^mcpServers\[\]\.reach\.args\[\]$/.test(path)) return print(value)
      if (/^auth\.tokens\[\]\.hash$/.test(path)) return value.slice(0, 12)
      if (/^mcpServers\[\]\.reach\.url$/.test(path) && value.includes('?'))
        return value.replace(/\?[\s\S]*$/, (query) => `?${print(query)}`)
      return value
    }
    if (Array.isArray(value)) return value.map((item) => convert(item, `${path}[]`))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, member]) => [
        key,
        convert(member, path === '' ? key : `${path}.${key}`),
      ]),
    )
  }
  return convert(settings, '') as Fingerprinted
}
