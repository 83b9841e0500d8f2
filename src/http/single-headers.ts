import type { IncomingMessage } from 'node:http'
import { type Refusal, refusal } from '../access/refusal.ts'

/** Headers that must not be there twice: two readers would each believe another one. By lower-case name. */
const SINGLE = new Set([
  'authorization',
  'host',
  'origin',
  'content-length',
  'content-type',
  'content-encoding',
  'transfer-encoding',
])

/** The name of a header that is there twice although it must not be; Node itself silently keeps the first. */
export function repeatedHeader({ headers, rawHeaders }: IncomingMessage): string | null {
  let names = 0
  for (const _ in headers) names += 1
  // As many lines as names: none is there twice, as is so for nearly every request.
  return names * 2 === rawHeaders.length ? null : firstRepeated(rawHeaders)
}

function firstRepeated(rawHeaders: readonly string[]): string | null {
  let seen: string[] | undefined
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] as string).toLowerCase()
    if (!SINGLE.has(name)) continue
    if (seen?.includes(name)) return name
    ;(seen ??= []).push(name)
  }
  return null
}

export function refuseRepeated(name: string): Refusal {
  return refusal('invalid_request', 'http.headers', `the header ${name} is there more than once`)
}
