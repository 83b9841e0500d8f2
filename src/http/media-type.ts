import { type Refusal, refusal } from '../access/refusal.ts'

const JSON_TYPE = /^application\/json[ \t]*(?:;[ \t]*charset[ \t]*=[ \t]*"?utf-?8"?[ \t]*)?;?[ \t]*$/i
const FORM_TYPE = /^application\/x-www-form-urlencoded[ \t]*(?:;|$)/i

/**
 * Refuses a body that does not say it is JSON. `lenient` also takes a missing type and the one that
 * `curl -d` sends by itself; that is no way in for a form on another site, because the Bearer header
 * cannot be sent by a form and the Origin check comes first.
 */
export function checkMediaType(
  contentType: string | undefined,
  contentEncoding: string | undefined,
  lenient = false,
): Refusal | null {
  if (contentEncoding !== undefined && contentEncoding.trim().toLowerCase() !== 'identity') {
    return refusal('unsupported_media_type', 'http.content_encoding', 'a compressed body is not accepted', {
      allowed: 'a body without Content-Encoding',
    })
  }
  const type = contentType?.trim() ?? ''
  if (JSON_TYPE.test(type) || (lenient && (type === '' || FORM_TYPE.test(type)))) return null
  return refusal('unsupported_media_type', 'http.content_type', 'the body must be JSON', {
    allowed: 'Content-Type: application/json, in UTF-8',
  })
}
