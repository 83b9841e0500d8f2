import { isUtf8 } from 'node:buffer'
import { type Refusal, refusal } from '../access/refusal.ts'
import { err, ok, type Result } from '../lib/result.ts'

/**
 * Parses a request body strictly: valid UTF-8, RFC 8259 and nothing beyond it, no object that names a key
 * twice (the next reader might take the other one), no nesting deeper than `maxDepth`. What is fine is recognised
 * quickly; only for what is not does a slower check find out why. The error gives a position, never a piece of the body.
 */
export function parseJson(bytes: Uint8Array, maxDepth: number): Result<unknown, Refusal> {
  if (!isUtf8(bytes)) return err(refusal('invalid_request', 'http.json', 'the body is not valid UTF-8'))
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  const quick = parseQuickly(text, maxDepth)
  if (quick) return ok(quick.value)
  const problem = new Check(text, maxDepth).run()
  if (problem !== null) return err(refusal('invalid_request', 'http.json', problem))
  return ok(JSON.parse(text))
}

/**
 * `undefined` unless all is well. `JSON.parse` is strict and fast, but keeps the last of two equal keys without a word:
 * then the value holds fewer keys than the text. Every key has one colon outside of strings, and nothing else has.
 */
function parseQuickly(text: string, maxDepth: number): { readonly value: unknown } | undefined {
  const written = countColons(text, maxDepth)
  if (written === undefined) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return countKeys(value) === written ? { value } : undefined
  } catch {
    return undefined
  }
}

/** Colons outside of strings; `undefined` for a text that nests too deeply. Valid JSON is taken for granted. */
function countColons(text: string, maxDepth: number): number | undefined {
  let colons = 0
  let depth = 0
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = endOfString(text, at)
    } else if (code === COLON) {
      colons += 1
    } else if (code === OPEN_OBJECT || code === OPEN_ARRAY) {
      depth += 1
      if (depth > maxDepth) return undefined
    } else if (code === CLOSE_OBJECT || code === CLOSE_ARRAY) {
      depth -= 1
    }
  }
  return colons
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at
    if (code === BACKSLASH) at += 1
  }
  return text.length
}

/** Keys of all objects in a value that nests no deeper than was checked. */
function countKeys(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  let keys = 0
  if (Array.isArray(value)) {
    for (const item of value) keys += countKeys(item)
    return keys
  }
  for (const key in value) {
    const member = (value as Readonly<Record<string, unknown>>)[key]
    keys += typeof member === 'object' ? 1 + countKeys(member) : 1
  }
  return keys
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const COLON = 0x3a
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const WORD = /true|false|null/y
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y

/** One pass over a text. `stack` holds, for each open container, the keys of an object or `null` for an array. */
class Check {
  readonly #text: string
  readonly #maxDepth: number
  readonly #stack: (Set<string> | null)[] = []
  #at = 0

  constructor(text: string, maxDepth: number) {
    this.#text = text
    this.#maxDepth = maxDepth
  }

  /** `null` when the text is fine, otherwise what is wrong and where. */
  run(): string | null {
    for (;;) {
      const problem = this.#value()
      if (problem !== null) return problem
      // After a value: close what ends here, then go on to the next value or stop.
      for (;;) {
        const code = this.#next()
        if (this.#stack.length === 0) {
          return this.#at === this.#text.length ? null : this.#broken('the end of the body')
        }
        const keys = this.#stack.at(-1) ?? null
        if (code === (keys === null ? CLOSE_ARRAY : CLOSE_OBJECT)) {
          this.#at += 1
          this.#stack.pop()
          continue
        }
        if (code !== COMMA) return this.#broken(keys === null ? '"," or "]"' : '"," or "}"')
        this.#at += 1
        if (keys !== null) {
          const bad = this.#key(keys)
          if (bad !== null) return bad
        }
        break
      }
    }
  }

  /** Reads one scalar, or opens containers down to the first scalar or empty container. */
  #value(): string | null {
    for (;;) {
      const code = this.#next()
      if (code !== OPEN_OBJECT && code !== OPEN_ARRAY) return this.#scalar(code)
      if (this.#stack.length >= this.#maxDepth) {
        return `the body is nested deeper than ${this.#maxDepth} levels at position ${this.#at}`
      }
      this.#at += 1
      if (this.#next() === (code === OPEN_OBJECT ? CLOSE_OBJECT : CLOSE_ARRAY)) {
        this.#at += 1
        return null
      }
      if (code === OPEN_ARRAY) {
        this.#stack.push(null)
        continue
      }
      const keys = new Set<string>()
      this.#stack.push(keys)
      const bad = this.#key(keys)
      if (bad !== null) return bad
    }
  }

  #key(keys: Set<string>): string | null {
    if (this.#next() !== QUOTE) return this.#broken('a key in double quotes')
    const start = this.#at
    const bad = this.#string()
    if (bad !== null) return bad
    const raw = this.#text.slice(start + 1, this.#at - 1)
    // Two spellings of one key, such as "a" and "\u0061", are the same key.
    const key = raw.includes('\\') ? String(JSON.parse(`"${raw}"`)) : raw
    if (keys.has(key)) return `an object names the same key twice at position ${start}`
    keys.add(key)
    if (this.#next() !== COLON) return this.#broken('":"')
    this.#at += 1
    return null
  }

  #scalar(code: number): string | null {
    if (code === QUOTE) return this.#string()
    for (const pattern of [NUMBER, WORD]) {
      pattern.lastIndex = this.#at
      if (pattern.test(this.#text)) {
        this.#at = pattern.lastIndex
        return null
      }
    }
    return this.#broken('a value')
  }

  #string(): string | null {
    const text = this.#text
    let at = this.#at + 1
    for (;;) {
      const code = text.charCodeAt(at)
      if (code === QUOTE) {
        this.#at = at + 1
        return null
      }
      if (code === BACKSLASH) {
        ESCAPE.lastIndex = at
        if (!ESCAPE.test(text)) return this.#brokenAt(at, 'a valid escape')
        at = ESCAPE.lastIndex
      } else if (code >= 0x20) {
        at += 1
      } else {
        // Also the end of the text, where `charCodeAt` gives NaN.
        return this.#brokenAt(at, at >= text.length ? 'the closing quote' : 'no bare control character')
      }
    }
  }

  /** Skips white space; the code of what follows, or NaN at the end. */
  #next(): number {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return code
      this.#at += 1
    }
  }

  #broken(expected: string): string {
    return this.#brokenAt(this.#at, expected)
  }

  #brokenAt(at: number, expected: string): string {
    const where = at >= this.#text.length ? 'where the body ends' : `at position ${at}`
    return `the body is not valid JSON: ${expected} is expected ${where}`
  }
}
