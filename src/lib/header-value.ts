const SENTINEL = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Text as a header can hold it (2026-07-28 streamable HTTP, "Value Encoding"): plain where that is possible, and Base64
 * of its UTF-8 where it is not or would be read as encoded. So is nothing at all: on the way an empty header may be left
 * out, and then says that there is no such argument.
 */
export function encodeHeaderValue(text: string): string {
  const plain = /^[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?$/.test(text)
  return plain && !(text.startsWith('=?base64?') && text.endsWith('?='))
    ? text
    : `=?base64?${Buffer.from(text, 'utf8').toString('base64')}?=`
}

/**
 * The value a header stands for.
 *
 * @returns `undefined` for characters a header may not hold and for Base64 that does not decode
 */
export function decodeHeaderValue(value: string): string | undefined {
  const trimmed = value.replace(/^[\t ]+|[\t ]+$/g, '')
  if (!/^[\t\x20-\x7E]*$/.test(trimmed)) return undefined
  if (!trimmed.startsWith('=?base64?') || !trimmed.endsWith('?=')) return trimmed
  const encoded = SENTINEL.exec(trimmed)?.[1]
  if (encoded === undefined || encoded.length % 4 !== 0) return undefined
  try {
    return utf8.decode(Buffer.from(encoded, 'base64'))
  } catch {
    return undefined
  }
}
