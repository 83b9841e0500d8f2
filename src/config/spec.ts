import { nearestWord } from '../lib/spelling.ts'
import {
  entryOf,
  isAbsent,
  memberPath,
  showName,
  type ListNode,
  type Node,
  type ScalarNode,
  type Where,
} from './node.ts'
import type { Report } from './problem.ts'

/** Where a value stands: in the file for messages, in the table for everything else. */
export interface Place {
  readonly where: Where
  /** As its author wrote it, which in a foreign shape is not the native path. */
  readonly path: string
  /** `databases[0].name` */
  readonly key: string
  /** Of what stands under a name of the user's choice. */
  readonly name?: string
}

/** What reading needs beside the file. */
export interface Context {
  readonly report: Report
  /** Directory that relative paths of the file are meant from. */
  readonly fileDir: string
  /** Directory that relative paths of options and variables are meant from. */
  readonly cwd: string
  readonly home: string | undefined
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Every place that was read, by native path: where each setting comes from. */
  readonly places: Map<string, Place>
  /** Every secret that stands in the file as it is. */
  readonly plainSecrets: Place[]
  /** Paths of the whole table, to say where a misplaced key belongs. */
  readonly knownPaths: readonly string[]
}

export type JsonSchema = Readonly<Record<string, unknown>>

/** What people and editors are told about the values of a leaf. */
export interface LeafType {
  /** As the key table names it: `duration`. */
  readonly name: string
  readonly schema: JsonSchema
  readonly secret?: boolean
  /** An environment variable gives several, separated by commas. */
  readonly list?: boolean
}

/** A default as the file would say it. */
export type Standard = string | number | boolean | readonly string[]

export type Shape =
  | {
      readonly kind: 'leaf'
      readonly type: LeafType
      readonly presence: 'required' | 'optional' | 'defaulted'
      readonly standard: Standard | undefined
      /** The default in words, where it is made from something else. */
      readonly says: string | undefined
      /** Shown in the starting file when there is no default. */
      readonly example: Standard | undefined
    }
  | {
      readonly kind: 'section'
      readonly fields: Fields
      readonly presence: 'optional' | 'defaulted'
      /** The field that is meant when a single value stands in place of the section. */
      readonly shorthand: string | undefined
    }
  | { readonly kind: 'list'; readonly item: Spec<unknown> }
  | { readonly kind: 'named'; readonly item: Spec<unknown>; readonly naming: Naming }

export interface Spec<T> {
  /** One line for the documentation: a sentence. */
  readonly about: string
  readonly shape: Shape
  /** `undefined` when the value is wrong, which has been reported by then. */
  check(node: Node | undefined, place: Place, context: Context): T | undefined
}

export type Fields = Readonly<Record<string, Spec<unknown>>>

export type ValueOf<S> = S extends Spec<infer T> ? T : never

export type ValuesOf<F extends Fields> = { readonly [K in keyof F]: ValueOf<F[K]> }

export interface SectionSpec<F extends Fields> extends Spec<ValuesOf<F>> {
  /** What could be read, field by field, when not all could. */
  parts(node: Node | undefined, place: Place, context: Context): Partial<ValuesOf<F>>
}

export interface SectionOptions {
  readonly shorthand?: string
  /** Keys that a later version brings: refused with a clear word instead of being taken for a mistake. */
  readonly later?: readonly string[]
  /** Keys that are there for others, such as `$schema` for editors. */
  readonly passedOver?: readonly string[]
}

/** A fixed set of keys. */
export function section<F extends Fields>(
  about: string,
  fields: F,
  options: SectionOptions = {},
): SectionSpec<F> {
  const { shorthand, later = [], passedOver = [] } = options
  const names = Object.keys(fields)

  const parts = (node: Node | undefined, place: Place, context: Context): Partial<ValuesOf<F>> => {
    const read: Record<string, unknown> = {}
    const given = expandShorthand(isAbsent(node) ? undefined : node, shorthand)
    if (given && given.kind !== 'map') {
      if (given.kind === 'list' || !given.broken)
        context.report.problem(
          'config_wrong_type',
          given,
          `must hold keys: ${names.slice(0, 6).join(', ')}${names.length > 6 ? ', …' : ''}`,
        )
      return {}
    }
    for (const entry of given?.entries ?? []) {
      if (Object.hasOwn(fields, entry.key) || passedOver.includes(entry.key)) continue
      const at = { where: entry.where, path: memberPath(place.path, entry.key) }
      if (later.includes(entry.key)) {
        context.report.problem('config_not_available', at, 'is not available in this version: remove it')
        continue
      }
      const near = nearestWord(entry.key, names) ?? elsewhere(entry.key, context.knownPaths)
      const owner = place.path === '' ? 'a key of the configuration' : `a key of ${place.path}`
      context.report.problem('config_unknown_key', at, `is not ${owner}`, near)
    }
    for (const [name, spec] of Object.entries(fields)) {
      const child = entryOf(given, name)
      const at: Place = {
        where: child?.where ?? given?.where ?? place.where,
        path: child?.path ?? memberPath(place.path, name),
        key: memberPath(place.key, name),
      }
      const value = spec.check(child, at, context)
      if (value !== undefined) read[name] = value
    }
    return read as Partial<ValuesOf<F>>
  }

  return {
    about,
    shape: { kind: 'section', fields, presence: 'defaulted', shorthand },
    parts,
    check(node, place, context) {
      const read = parts(node, place, context)
      return names.every((name) => Object.hasOwn(read, name)) ? (read as ValuesOf<F>) : undefined
    },
  }
}

/** `name: value` where the section's one important field is meant. */
function expandShorthand(node: Node | undefined, shorthand: string | undefined): Node | undefined {
  if (node?.kind !== 'scalar' || shorthand === undefined) return node
  return {
    kind: 'map',
    where: node.where,
    path: node.path,
    entries: [{ key: shorthand, where: node.where, value: node }],
  }
}

/** Where a key of the same name belongs: `addr` at the top is `server.addr`. */
function elsewhere(key: string, knownPaths: readonly string[]): string | undefined {
  if (!/^[A-Za-z]{3,}$/.test(key)) return undefined
  const homes = knownPaths.filter((path) => path.endsWith(`.${key}`))
  return homes.length === 1 ? homes[0] : undefined
}

/** The same value, or `null` when nothing is given. */
export function optional<T>(spec: Spec<T>, says?: string): Spec<T | null> {
  const { shape } = spec
  return {
    about: spec.about,
    shape:
      shape.kind === 'leaf'
        ? { ...shape, presence: 'optional', standard: undefined, says }
        : shape.kind === 'section'
          ? { ...shape, presence: 'optional' }
          : shape,
    check: (node, place, context) => (isAbsent(node) ? null : spec.check(node, place, context)),
  }
}

/** The value made into another one, with checks that need all of it. */
export function mapped<T, U>(
  spec: Spec<T>,
  read: (value: T, place: Place, context: Context) => U | undefined,
): Spec<U> {
  return {
    about: spec.about,
    shape: spec.shape,
    check(node, place, context) {
      const value = spec.check(node, place, context)
      return value === undefined ? undefined : read(value, place, context)
    },
  }
}

/** Any number of the same, in order. Good items are kept for further checks even when others are wrong. */
export function list<T>(about: string, item: Spec<T>): Spec<readonly T[]> {
  return {
    about,
    shape: { kind: 'list', item },
    check(node, place, context) {
      if (isAbsent(node)) return []
      if (node.kind !== 'list') {
        if (node.kind === 'map' || !node.broken)
          context.report.problem('config_wrong_type', node, 'must be a list: put a dash before each item')
        return undefined
      }
      const values = node.items.map((child, index) => {
        const at = { where: child.where, path: child.path, key: `${place.key}[${index}]` }
        context.places.set(at.key, at)
        return item.check(child, at, context)
      })
      const good = values.filter((value) => value !== undefined)
      return good.length === values.length ? good : undefined
    },
  }
}

export interface Named<T> {
  readonly name: string
  readonly value: T
}

/** What may name a token or a database: it appears in logs, addresses and metrics. */
export const NAME = /^[A-Za-z0-9](?:[A-Za-z0-9._ @-]{0,62}[A-Za-z0-9._-])?$/

export const NAME_RULE =
  'use letters, digits, spaces and . _ - @, starting with a letter or digit, 64 at most'

/** What the names of a `named` may be. */
export interface Naming {
  readonly pattern: RegExp
  /** The pattern in words: `use letters and digits`. */
  readonly rule: string
  /** What the starting file calls one. */
  readonly example: string
  /** Why a name that fits the pattern is refused nevertheless. */
  readonly refuses?: (name: string) => string | undefined
  /** Two names that differ in case only are refused. */
  readonly caseless?: boolean
}

const TOKEN_NAMING: Naming = { pattern: NAME, rule: NAME_RULE, example: 'my-token' }

/** Any number of the same, each under a name of the user's choice. */
export function named<T>(
  about: string,
  item: Spec<T>,
  naming: Naming = TOKEN_NAMING,
): Spec<readonly Named<T>[]> {
  return {
    about,
    shape: { kind: 'named', item, naming },
    check(node, place, context) {
      if (isAbsent(node)) return []
      if (node.kind !== 'map') {
        if (node.kind === 'list' || !node.broken)
          context.report.problem('config_wrong_type', node, 'must hold a name and a value for each')
        return undefined
      }
      const values: Named<T>[] = []
      let complete = true
      for (const [index, { key: name, where, value: child }] of node.entries.entries()) {
        const at = { where, path: memberPath(place.path, name), key: memberPath(place.key, name), name }
        const others = node.entries.slice(0, index).map((entry) => entry.key)
        const wrong = wrongName(name, others, naming)
        if (wrong !== undefined) {
          context.report.problem(wrong.code, at, wrong.message)
          complete = false
        }
        if (!naming.pattern.test(name)) continue
        context.places.set(at.key, at)
        const value = item.check(child, at, context)
        if (value === undefined) complete = false
        else values.push({ name, value })
      }
      return complete ? values : undefined
    },
  }
}

function wrongName(
  name: string,
  others: readonly string[],
  { pattern, rule, refuses, caseless }: Naming,
): { readonly code: 'config_bad_value' | 'config_conflict'; readonly message: string } | undefined {
  if (!pattern.test(name))
    return { code: 'config_bad_value', message: `"${showName(name)}" cannot be a name: ${rule}` }
  const refused = refuses?.(name)
  if (refused !== undefined) return { code: 'config_conflict', message: refused }
  const twin =
    caseless === true ? others.find((other) => other.toLowerCase() === name.toLowerCase()) : undefined
  if (twin === undefined) return undefined
  // Some file systems, proxies and people take the two for one.
  return { code: 'config_conflict', message: `differs from "${showName(twin)}" in case only: rename one` }
}

/** A single value or a list of words. */
export function leaf<T>(
  about: string,
  type: LeafType,
  options: LeafOptions,
  read: (node: ScalarNode | ListNode, context: Context) => T | undefined,
): Spec<T> {
  const { standard, says, example } = options
  return {
    about,
    shape: {
      kind: 'leaf',
      type,
      presence: standard === undefined ? 'required' : 'defaulted',
      standard,
      says,
      example,
    },
    check(node, place, context) {
      if (isAbsent(node)) {
        if (standard !== undefined) return read(standardNode(standard, place.path), context)
        context.report.problem('config_missing', place, 'is needed')
        return undefined
      }
      context.places.set(place.key, { ...place, where: node.where })
      if (node.kind === 'scalar' && node.broken) return undefined
      if (node.kind === 'list' && node.items.some((item) => item.kind === 'scalar' && item.broken))
        return undefined
      if (node.kind === 'map' || (node.kind === 'list' && type.list !== true)) {
        context.report.problem(
          'config_wrong_type',
          node,
          `must be ${type.name}, not ${node.kind === 'map' ? 'keys and values' : 'a list'}`,
        )
        return undefined
      }
      return read(node, context)
    },
  }
}

export interface LeafOptions {
  /** Without it the value is required. */
  readonly standard?: Standard
  readonly says?: string
  readonly example?: Standard
}

function standardNode(standard: Standard, path: string): ScalarNode | ListNode {
  const written = { where: { kind: 'nowhere' }, path } as const
  const word = (value: string | number | boolean): ScalarNode => ({
    kind: 'scalar',
    value,
    text: String(value),
    hidden: false,
    broken: false,
    ...written,
  })
  return typeof standard === 'object'
    ? { kind: 'list', items: standard.map(word), ...written }
    : word(standard)
}
