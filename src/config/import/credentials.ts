import type { MapNode, Node } from '../node.ts'
import { withoutPassword } from '../leaves.ts'
import { isHarmless, looksLikeToken, sensitiveArgument } from './sensitive.ts'
import { type NeededVariable, Variables } from './variables.ts'

/** A value of the file, and what it is for. */
export interface Value {
  readonly text: string
  /** `mcpServers.files.env.KEY` */
  readonly path: string
  /** `mcpServers.*.env.*` */
  readonly generic: string
  /** What stands for the stars: `files`, `KEY`. */
  readonly names: readonly string[]
  /** The key table says that it is one. */
  readonly secret: boolean
  /** The argument before it. */
  readonly previous: string | undefined
}

const NAME = /\$env:([A-Za-z_][A-Za-z0-9_]*)/

/** Takes every credential that stands in a file out of it, and puts a reference to the environment in its place. */
export class Credentials {
  readonly #variables: Variables

  constructor(root: MapNode) {
    this.#variables = new Variables(namesIn(root))
  }

  get needed(): readonly NeededVariable[] {
    return this.#variables.needed
  }

  /** The value as it may be written down. */
  withoutCredential(value: Value): string {
    const { text, secret, generic } = value
    if (text.includes('$env:')) return this.#reference(value)
    if (generic === 'mcpServers.*.args') return this.#argument(value)
    if (generic === 'mcpServers.*.url')
      return withoutPassword(text) && !/\?./.test(text) ? text : this.#replaced(value, text, 'URL')
    return secret && !this.#mayStand(value) ? this.#secret(value) : text
  }

  #mayStand({ text, generic, names }: Value): boolean {
    switch (generic) {
      case 'auth.tokens.*.hash':
        return true
      case 'store':
      case 'databases[].url':
      case 'databases[].writerUrl':
        return withoutPassword(text)
      case 'mcpServers.*.env.*':
      case 'mcpServers.*.headers.*':
        return isHarmless(names.at(-1) ?? '', text)
      default:
        return false
    }
  }

  #secret(value: Value): string {
    const scheme = /^(?:Bearer|Basic|Token) +(?=\S)/i.exec(value.text)?.[0]
    if (value.generic === 'mcpServers.*.headers.*' && scheme !== undefined)
      return `${scheme}${this.#replaced(value, value.text.slice(scheme.length), 'TOKEN')}`
    return this.#replaced(value, value.text)
  }

  #argument(value: Value): string {
    const part = sensitiveArgument(value.previous, value.text)
    return part === undefined ? value.text : `${part.before}${this.#replaced(value, part.value, part.name)}`
  }

  /** A new reference for a credential; `last` is the end of its name where the path does not say it. */
  #replaced({ path, generic, names }: Value, credential: string, last?: string): string {
    const own = generic.split('.').at(-1) === '*' ? [] : [snake(generic.split('.').at(-1) ?? '')]
    const inServer =
      generic.startsWith('mcpServers.*.headers') && last !== undefined ? names.slice(0, 1) : names
    const words = last === undefined ? [...inServer, ...own] : [...inServer, last]
    const section = names.length === 0 ? snake(generic.replaceAll('.', '_')) : undefined
    const full = section ?? words.join('_')
    // A variable of a program is known by its own name, as long as no other server means something else by it.
    const wanted = generic === 'mcpServers.*.env.*' ? [names.at(-1) ?? full, full] : [full]
    return `$env:${this.#variables.take(credential, path, wanted)}`
  }

  /** The file refers to the environment already; what it falls back to may be a credential all the same. */
  #reference(value: Value): string {
    const { text, secret, path, generic, names } = value
    const [, before = '', name = '', rest = ''] =
      /^([\s\S]*?)\$env:([A-Za-z_][A-Za-z0-9_]*)([\s\S]*)$/.exec(text) ?? []
    if (name === '' || before.endsWith('$')) return secret ? this.#replaced(value, text) : text
    const begun = /:\/\/[^/?#:]*:[^/?#@]+$/.test(before)
    if (begun || !withoutPassword(before) || before.split(/\s/).some(looksLikeToken))
      return this.#replaced(value, text)
    const fallback = rest.startsWith('|') ? rest.slice(1) : undefined
    if (fallback === undefined) {
      this.#variables.refer(name, path, 'reference')
      return NAME.test(rest) ? `${before}$env:${name}${this.#reference({ ...value, text: rest })}` : text
    }
    if (fallback.startsWith('$env:'))
      return `${before}$env:${name}|${this.#reference({ ...value, text: fallback })}`
    const harmless =
      fallback === '' ||
      (!secret && !looksLikeToken(fallback) && withoutPassword(fallback)) ||
      (generic === 'mcpServers.*.env.*' && isHarmless(names.at(-1) ?? '', fallback))
    if (harmless) return text
    this.#variables.refer(name, path, 'default')
    return `${before}$env:${name}`
  }
}

const snake = (word: string): string => word.replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')

function* namesIn(node: Node): Generator<string> {
  if (node.kind === 'scalar')
    for (const [, name] of node.text.matchAll(new RegExp(NAME, 'g'))) yield name as string
  else if (node.kind === 'list') for (const item of node.items) yield* namesIn(item)
  else for (const { value } of node.entries) yield* namesIn(value)
}
