import { isAbsolute, resolve } from 'node:path'
import { sha256Hex } from '../../lib/digest.ts'
import { keys } from '../keys.ts'
import {
  entryOf,
  emptyMap,
  isAbsent,
  type ListNode,
  type MapNode,
  memberPath,
  type Node,
  type ScalarNode,
  withEntry,
} from '../node.ts'
import type { Problem } from '../problem.ts'
import type { Fields, Shape, Spec } from '../spec.ts'
import { Credentials, type Value } from './credentials.ts'
import { durationText, yamlText } from './scalar-text.ts'
import type { NeededVariable } from './variables.ts'

const WIDTH = 100

/** Where relative paths are meant from: in the file that was read, and in the one that is written. */
export interface Directories {
  readonly fileDir: string
  readonly outputDir: string
}

/** A place in the result. */
interface At {
  readonly indent: number
  /** `mcpServers.files.env` */
  readonly path: string
  /** `mcpServers.*.env`: what the key table calls it. */
  readonly generic: string
  /** What stands for the stars: `files`. */
  readonly names: readonly string[]
}

/** A configuration in native keys as lines of YAML: in the order of the key table, each key explained once. */
export class NativeFile {
  readonly #directories: Directories
  readonly #credentials: Credentials
  readonly #explained = new Set<string>()
  readonly #leftOut: Problem[] = []
  readonly #hashed: string[] = []
  readonly lines: readonly string[]

  constructor(root: MapNode, directories: Directories) {
    this.#directories = directories
    this.#credentials = new Credentials(root)
    const { shape } = keys
    const fields = shape.kind === 'section' ? shape.fields : {}
    this.lines = this.#fields(root, fields, { indent: 0, path: '', generic: '', names: [] })
  }

  get variables(): readonly NeededVariable[] {
    return this.#credentials.needed
  }

  get hashedTokens(): readonly string[] {
    return this.#hashed
  }

  /** Keys that are in no table. */
  get leftOut(): readonly Problem[] {
    return this.#leftOut
  }

  #fields(node: MapNode, fields: Fields, at: At): readonly string[] {
    for (const { key, where } of node.entries) {
      if (Object.hasOwn(fields, key) || (at.path === '' && key === '$schema')) continue
      const path = memberPath(node.path, key)
      this.#leftOut.push({
        code: 'config_unknown_key',
        where,
        path,
        message: 'is no key here, so it was left out',
      })
    }
    return Object.entries(fields).flatMap(([name, spec]) => {
      const child = node.entries.find(({ key }) => key === name)?.value
      if (isAbsent(child)) return []
      const inner = {
        ...at,
        path: memberPath(at.path, name),
        generic: at.generic === '' ? name : `${at.generic}.${name}`,
      }
      const lines = this.#key(name, child, spec, inner)
      return at.path === '' ? ['', ...lines] : lines
    })
  }

  /** `name: …`, with what it means above it the first time. */
  #key(name: string, node: Node, spec: Spec<unknown>, at: At): readonly string[] {
    const about = this.#explained.has(at.generic) ? [] : wrap(spec.about, at.indent)
    this.#explained.add(at.generic)
    const pad = ' '.repeat(at.indent)
    const { shape } = spec
    if (shape.kind === 'leaf') {
      const leaf = this.#leaf(node, shape, at)
      return leaf === undefined
        ? []
        : [
            ...about,
            `${pad}${yamlKey(leaf.rename ?? name)}:${leaf.text.startsWith('\n') ? '' : ' '}${leaf.text}`,
          ]
    }
    const inner = this.#inside(node, shape, { ...at, indent: at.indent + 2 })
    const head = `${pad}${yamlKey(name)}:`
    return inner.length === 0 ? [...about, `${head} {}`] : [...about, head, ...inner]
  }

  #inside(given: Node, shape: Exclude<Shape, { kind: 'leaf' }>, at: At): readonly string[] {
    if (shape.kind === 'list') {
      const items = given.kind === 'list' ? given.items : [given]
      return items.flatMap((item, index) =>
        this.#item(item, shape.item, { ...at, path: `${at.path}[${index}]` }),
      )
    }
    // `name: value` where the section's one important field is meant.
    const short = shape.kind === 'section' && given.kind === 'scalar' ? shape.shorthand : undefined
    const node = short === undefined ? given : withEntry(emptyMap(given.where, given.path), short, given)
    if (node.kind !== 'map') return this.#misfit(node)
    if (shape.kind === 'section') return this.#fields(node, shape.fields, at)
    return node.entries.flatMap(({ key, value }) =>
      isAbsent(value)
        ? []
        : this.#key(key, value, shape.item, {
            ...at,
            path: memberPath(at.path, key),
            generic: `${at.generic}.*`,
            names: [...at.names, key],
          }),
    )
  }

  #item(node: Node, spec: Spec<unknown>, at: At): readonly string[] {
    const { shape } = spec
    if (node.kind !== 'map' || shape.kind !== 'section') return this.#misfit(node)
    const name = entryOf(node, 'name')
    const names = name?.kind === 'scalar' ? [name.text] : []
    const inner = { indent: at.indent + 2, path: at.path, generic: `${at.generic}[]`, names }
    const lines = this.#fields(node, shape.fields, inner)
    const first = lines.findIndex((line) => !line.trimStart().startsWith('#'))
    const dash = `${' '.repeat(at.indent)}- `
    return lines.map((line, index) =>
      index < first ? line.slice(2) : index === first ? `${dash}${line.slice(dash.length)}` : line,
    )
  }

  #misfit({ where, path }: Node): readonly string[] {
    this.#leftOut.push({
      code: 'config_wrong_type',
      where,
      path,
      message: 'does not fit here, so it was left out',
    })
    return []
  }

  #leaf(
    node: Node,
    shape: Extract<Shape, { kind: 'leaf' }>,
    at: At,
  ): { readonly text: string; readonly rename?: string } | undefined {
    if (node.kind === 'map') {
      this.#misfit(node)
      return undefined
    }
    if (node.kind === 'list') return { text: this.#words(node, shape, at) }
    if (at.generic === 'auth.tokens.*.value' && !node.text.includes('$env:')) {
      this.#hashed.push(at.names[0] ?? '')
      return { rename: 'hash', text: sha256Hex(node.text) }
    }
    return { text: this.#scalar(node, shape, at, undefined) }
  }

  #words(node: ListNode, shape: Extract<Shape, { kind: 'leaf' }>, at: At): string {
    const items = node.items.map((item, index) => {
      if (item.kind !== 'scalar') return (this.#misfit(item), undefined)
      const previous = node.items[index - 1]
      const inner = { ...at, path: `${at.path}[${index}]` }
      return this.#scalar(item, shape, inner, previous?.kind === 'scalar' ? previous.text : undefined)
    })
    const words = items.filter((word) => word !== undefined)
    const line = `[${words.join(', ')}]`
    if (line.length <= WIDTH) return line
    const pad = ' '.repeat(at.indent + 2)
    return ['', ...words.map((word) => `${pad}- ${word}`)].join('\n')
  }

  #scalar(
    node: ScalarNode,
    { type }: Extract<Shape, { kind: 'leaf' }>,
    at: At,
    previous: string | undefined,
  ): string {
    const value: Value = {
      text: node.text,
      path: at.path,
      generic: at.generic,
      names: at.names,
      secret: type.secret === true,
      previous,
    }
    const text = this.#credentials.withoutCredential(value)
    if (text !== node.text) return yamlText(text)
    if (type.name === 'path') return yamlText(this.#path(text))
    if (type.name.startsWith('duration') && /^\d{1,15}$/.test(text)) return durationText(Number(text))
    const written = type.schema['type'] === 'integer' || type.schema['type'] === 'boolean'
    return written || (typeof node.value === 'number' && !type.list && type.schema['type'] !== 'string')
      ? text.includes('$env:')
        ? yamlText(text)
        : text
      : yamlText(text)
  }

  #path(text: string): string {
    const { fileDir, outputDir } = this.#directories
    if (fileDir === outputDir || isAbsolute(text) || /^(?:~|\$env:)/.test(text)) return text
    return resolve(fileDir, text)
  }
}

const yamlKey = (name: string): string =>
  /^[A-Za-z_][\w.-]*$/.test(name) ? yamlText(name) : JSON.stringify(name)

function wrap(text: string, indent: number): readonly string[] {
  const pad = `${' '.repeat(indent)}#`
  const lines: string[] = []
  let line = pad
  for (const word of text.split(' ')) {
    if (line.length + 1 + word.length > WIDTH && line !== pad) {
      lines.push(line)
      line = pad
    }
    line += ` ${word}`
  }
  return [...lines, line]
}
