import { resolve } from 'node:path'
import { type Address, parseAddress } from '../lib/address.ts'
import { parseDuration } from '../lib/duration.ts'
import type { Result } from '../lib/result.ts'
import { Secret } from '../lib/secret.ts'
import { parseSize } from '../lib/size.ts'
import { nearestWord } from '../lib/spelling.ts'
import { showName, type ListNode, type ScalarNode } from './node.ts'
import { type Context, leaf, type LeafOptions, type Spec } from './spec.ts'

const LONGEST_TEXT = 4096

/** The value as a message may show it: what came out of the environment may be a secret. */
function quote(node: ScalarNode): string {
  if (node.hidden) return 'the value of the environment variable'
  return `"${showName(node.text).replaceAll(/\p{Cc}/gu, '\uFFFD')}"`
}

function bad(node: ScalarNode | ListNode, context: Context, message: string, suggestion?: string): undefined {
  context.report.problem('config_bad_value', node, message, suggestion)
  return undefined
}

interface TextBounds {
  /** Characters. */
  readonly longest?: number
  /** Line ends are a part of it, as of a key in PEM. */
  readonly lines?: boolean
}

/** The text of a value. Numbers count as written, so that a password of digits needs no quotes. */
function words(
  node: ScalarNode | ListNode,
  context: Context,
  { longest = LONGEST_TEXT, lines = false }: TextBounds = {},
): string | undefined {
  if (node.kind === 'list') return bad(node, context, 'must be a single value')
  if (typeof node.value === 'boolean') {
    context.report.problem('config_wrong_type', node, 'must be text: put it in quotes')
    return undefined
  }
  if (node.text.length > longest) return bad(node, context, `is longer than ${longest} characters`)
  // A line end or NUL inside a value ends up in headers, logs and start-up packets.
  if (/\p{Cc}/u.test(lines ? node.text.replaceAll(/[\t\r\n]/g, '') : node.text))
    return bad(node, context, 'holds a control character, such as a line end')
  return node.text
}

/** Text as it stands: spaces around it are a part of it, and it may be empty. */
export const verbatim = (about: string, options: LeafOptions = {}): Spec<string> =>
  leaf(about, { name: 'text', schema: { type: 'string' } }, options, (node, context) => words(node, context))

/** Any text that is not empty. */
export const text = (about: string, options: LeafOptions = {}): Spec<string> =>
  leaf(about, { name: 'text', schema: { type: 'string' } }, options, (node, context) => {
    const value = words(node, context)?.trim()
    return value === '' ? bad(node, context, 'is empty') : value
  })

/** Whether a URL holds no password. */
export const withoutPassword = (value: string): boolean => !/:\/\/[^/?#]*:[^/?#]*@|[?&]password=/.test(value)

/** Text that is never shown. `harmless` says which values are no secret although the key could hold one. */
export const secret = (
  about: string,
  options: LeafOptions &
    TextBounds & {
      readonly harmless?: (value: string) => boolean
      /** Nothing is a value, too. */
      readonly empty?: boolean
    } = {},
): Spec<Secret> =>
  leaf(about, { name: 'secret text', schema: { type: 'string' }, secret: true }, options, (node, context) => {
    const value = words(node, context, options)
    if (value === undefined || node.kind === 'list') return undefined
    if (value === '' && options.empty !== true)
      return bad(node, context, 'is empty: remove it or give it a value')
    if (node.where.kind === 'file' && !node.hidden && options.harmless?.(value) !== true)
      context.plainSecrets.push({ where: node.where, path: node.path, key: '' })
    return new Secret(value)
  })

/** A path of the file system, made absolute. */
export const path = (about: string, options: LeafOptions = {}): Spec<string> =>
  leaf(about, { name: 'path', schema: { type: 'string' } }, options, (node, context) => {
    const value = words(node, context)
    if (value === undefined) return undefined
    return value.trim() === '' ? bad(node, context, 'is empty') : absolutePath(value, node, context)
  })

/** In the file, relative paths are meant from the file; in options, variables and defaults from where Postern was started. */
export function absolutePath(
  value: string,
  node: { readonly where: { readonly kind: string } },
  context: Context,
): string {
  const home = context.home
  if (home !== undefined && (value === '~' || value.startsWith('~/')))
    return resolve(home, `.${value.slice(1)}`)
  return resolve(node.where.kind === 'file' ? context.fileDir : context.cwd, value)
}

export const flag = (about: string, options: LeafOptions = {}): Spec<boolean> =>
  leaf(about, { name: 'true or false', schema: { type: 'boolean' } }, options, (node, context) => {
    if (node.kind === 'scalar' && typeof node.value === 'boolean') return node.value
    if (node.kind === 'scalar' && (node.value === 'true' || node.value === 'false'))
      return node.value === 'true'
    context.report.problem('config_wrong_type', node, 'must be true or false')
    return undefined
  })

/** A whole number within bounds, both included. */
export const whole = (about: string, bounds: Bounds, options: LeafOptions = {}): Spec<number> =>
  leaf(
    about,
    {
      name: `whole number, ${bounds.min} to ${bounds.max}`,
      schema: { type: 'integer', minimum: bounds.min, maximum: bounds.max },
    },
    options,
    (node, context) => {
      if (node.kind !== 'scalar' || typeof node.value === 'boolean' || !/^-?\d{1,15}$/.test(node.text)) {
        const shown = node.kind === 'scalar' ? `${quote(node)} is not` : 'must be'
        context.report.problem('config_wrong_type', node, `${shown} a whole number`)
        return undefined
      }
      return within(Number(node.text), bounds, node, context, String)
    },
  )

interface Bounds {
  readonly min: number
  readonly max: number
}

function within(
  value: number,
  { min, max }: Bounds,
  node: ScalarNode | ListNode,
  context: Context,
  show: (value: number) => string,
): number | undefined {
  if (value < min) return bad(node, context, `is too small: the least is ${show(min)}`)
  if (value > max) return bad(node, context, `is too large: the most is ${show(max)}`)
  return value
}

const measure = (
  node: ScalarNode | ListNode,
  context: Context,
  bounds: Bounds,
  parse: (value: string | number) => Result<number, string>,
  unit: { readonly forms: string; readonly name: string },
): number | undefined => {
  if (node.kind !== 'scalar' || typeof node.value === 'boolean') {
    context.report.problem('config_wrong_type', node, `must be ${unit.forms}`)
    return undefined
  }
  const parsed = parse(/^\d{1,15}$/.test(node.text) ? Number(node.text) : node.text)
  if (!parsed.ok) return bad(node, context, `${quote(node)} is not ${unit.forms}`)
  return within(parsed.value, bounds, node, context, (value) => `${value} ${unit.name}`)
}

/** A length of time; the value is milliseconds. Bounds are milliseconds. */
export const duration = (about: string, bounds: Bounds, options: LeafOptions = {}): Spec<number> =>
  leaf(
    about,
    {
      name: 'duration (`250ms`, `30s`, `5m`, `2h`, `1d`, `2w`; a bare number is milliseconds)',
      schema: {
        anyOf: [
          { type: 'string', pattern: '^\\d{1,9}\\s*(ms|s|m|h|d|w)$' },
          { type: 'integer', minimum: bounds.min, maximum: bounds.max },
        ],
      },
    },
    options,
    (node, context) =>
      measure(node, context, bounds, parseDuration, {
        forms: 'a length of time: use 250ms, 30s, 5m, 2h or 1d',
        name: 'milliseconds',
      }),
  )

/** An amount of data; the value is bytes. Bounds are bytes. */
export const size = (about: string, bounds: Bounds, options: LeafOptions = {}): Spec<number> =>
  leaf(
    about,
    {
      name: 'size (`64KiB`, `8MiB`, `1GB`; a bare number is bytes)',
      schema: {
        anyOf: [
          { type: 'string', pattern: '^\\d{1,9}(\\.\\d{1,3})?\\s*([kKmMgG][iI]?)?[bB]?$' },
          { type: 'integer', minimum: bounds.min, maximum: bounds.max },
        ],
      },
    },
    options,
    (node, context) =>
      measure(node, context, bounds, parseSize, {
        forms: 'a size: use 65536, 64KiB, 8MiB or 1GB',
        name: 'bytes',
      }),
  )

/** One of a few words. */
export const choice = <const W extends readonly string[]>(
  about: string,
  choices: W,
  options: LeafOptions = {},
): Spec<W[number]> =>
  leaf(
    about,
    { name: choices.map((word) => `\`${word}\``).join(', '), schema: { enum: choices } },
    options,
    (node, context) => {
      const found = choices.find((word) => node.kind === 'scalar' && node.text === word)
      if (found !== undefined) return found
      const rule = `use ${choices.slice(0, -1).join(', ')} or ${choices.at(-1)}`
      if (node.kind !== 'scalar') return bad(node, context, rule)
      return bad(
        node,
        context,
        `${quote(node)} is not possible here: ${rule}`,
        nearestWord(node.text, choices),
      )
    },
  )

/** A host and a port to listen on. */
export const address = (about: string, options: LeafOptions = {}): Spec<Address> =>
  leaf(about, { name: 'address', schema: { type: ['string'] } }, options, (node, context) => {
    const value = words(node, context)
    if (value === undefined || node.kind !== 'scalar') return undefined
    const parsed = parseAddress(value)
    return parsed.ok ? parsed.value : bad(node, context, `${quote(node)} ${parsed.error}`)
  })

interface UrlOptions extends LeafOptions {
  /** The URL is used to the letter: it may have a query, and a trailing slash stays. */
  readonly exact?: boolean
}

/** An http or https URL without query, fragment or credentials; a trailing slash is removed. */
export const webUrl = (about: string, options: UrlOptions = {}): Spec<string> =>
  leaf(
    about,
    { name: 'http or https URL', schema: { type: 'string', format: 'uri' } },
    options,
    (node, context) => {
      const value = words(node, context)
      if (value === undefined) return undefined
      const url = URL.canParse(value) ? new URL(value) : undefined
      if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:'))
        return bad(node, context, 'is not a URL that starts with http:// or https://')
      if (url.username !== '' || url.password !== '')
        return bad(node, context, 'must not hold a user or a password')
      if (options.exact === true)
        return value.includes('#') ? bad(node, context, 'must not have a fragment') : url.href
      if (value.includes('?') || value.includes('#'))
        return bad(node, context, 'must not have a query or a fragment')
      return url.href.replace(/\/+$/, '')
    },
  )

/** A moment; the value is milliseconds since the epoch. */
export const moment = (about: string, options: LeafOptions = {}): Spec<number> =>
  leaf(
    about,
    { name: 'date or date and time (RFC 3339)', schema: { type: 'string' } },
    options,
    (node, context) => {
      const value = words(node, context)
      if (value === undefined) return undefined
      const form = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:\d{2}))?$/i
      const parsed = form.test(value) ? Date.parse(value.toUpperCase().replace(' ', 'T')) : Number.NaN
      if (Number.isNaN(parsed) || !isCalendarDay(value))
        return bad(node, context, 'is not a moment: use 2030-01-31 or 2030-01-31T12:00:00Z')
      return parsed
    },
  )

/** `Date.parse` takes 30 February for 2 March. */
function isCalendarDay(text: string): boolean {
  const day = text.slice(0, 10)
  const at = Date.parse(`${day}T00:00:00Z`)
  return !Number.isNaN(at) && new Date(at).toISOString().startsWith(day)
}

/** Any number of words. */
export const strings = (about: string, options: LeafOptions & WordOptions = {}): Spec<readonly string[]> =>
  leaf(
    about,
    { name: 'list of text', schema: { type: 'array', items: { type: 'string' } }, list: true },
    options,
    (node, context) => readWords(node, context, options),
  )

interface WordOptions {
  /** What is wrong with a word. */
  readonly check?: (word: string) => string | undefined
  /** Words as they stand: spaces around them are a part of them, and they may be empty. */
  readonly verbatim?: boolean
}

/** `all`, or the names that are allowed. */
export const names = (about: string, options: LeafOptions = {}): Spec<'all' | readonly string[]> =>
  leaf(
    about,
    {
      name: '`all` or a list of names',
      schema: { anyOf: [{ const: 'all' }, { type: 'array', items: { type: 'string' } }] },
      list: true,
    },
    options,
    (node, context) => {
      const all = node.kind === 'scalar' ? node : node.items.length === 1 ? node.items[0] : undefined
      if (all?.kind === 'scalar' && all.text === 'all') return 'all'
      return readWords(node, context, {})
    },
  )

function readWords(
  node: ScalarNode | ListNode,
  context: Context,
  { check, verbatim: asTheyStand = false }: WordOptions,
): readonly string[] | undefined {
  // A single word stands for a list of one.
  const items = node.kind === 'list' ? node.items : [node]
  const read: string[] = []
  for (const item of items) {
    if (item.kind !== 'scalar' || item.value === null) {
      context.report.problem('config_wrong_type', item, 'must be text')
      continue
    }
    const given = words(item, context)
    if (given === undefined) continue
    const word = asTheyStand ? given : given.trim()
    const wrong = word === '' && !asTheyStand ? 'is empty' : check?.(word)
    if (wrong === undefined) read.push(word)
    else context.report.problem('config_bad_value', item, wrong)
  }
  return read.length === items.length ? read : undefined
}
