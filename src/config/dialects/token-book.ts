import {
  emptyMap,
  type ListNode,
  type MapNode,
  type Node,
  scalar,
  type ScalarNode,
  withEntry,
} from '../node.ts'
import type { Report } from '../problem.ts'
import { filled } from './says.ts'

interface Line {
  readonly name: string
  readonly value: ScalarNode
  /** `all`, or the only servers it is for. */
  servers: 'all' | string[]
}

/**
 * The tokens of a foreign file, which may stand under names of their own or, nameless, with the servers that they
 * open. One value is one token, wherever it stands.
 */
export class TokenBook {
  readonly #lines: Line[] = []

  get names(): readonly string[] {
    return this.#lines.map(({ name }) => name)
  }

  /** A token that has a name and opens whatever lets it in. Two names of one value are a mistake, found later. */
  addNamed(name: string, value: ScalarNode): void {
    this.#lines.push({ name, value, servers: 'all' })
  }

  /** The values of a list, as tokens of one server; answers their names. */
  addAllFor(server: string, items: readonly Node[], report: Report, prefix = server): readonly string[] {
    const names = new Set<string>()
    for (const item of items) {
      if (item.kind === 'scalar' && filled(item)) names.add(this.addFor(server, item, prefix))
      else report.problem('config_wrong_type', item, 'must be the value of a token')
    }
    return [...names]
  }

  /** A token that has no name and is for one server only; answers the name it gets. */
  addFor(server: string, value: ScalarNode, prefix = server): string {
    const known = value.broken ? undefined : this.#lines.find((line) => line.value.text === value.text)
    if (known) {
      if (known.servers !== 'all' && !known.servers.includes(server)) known.servers.push(server)
      return known.name
    }
    let count = 1
    while (this.names.includes(`${prefix}-${count}`)) count += 1
    const name = `${prefix}-${count}`
    this.#lines.push({ name, value, servers: [server] })
    return name
  }

  /** The native `auth.tokens`. The product knows no levels: whoever may use a server may use all of it. */
  toNode(at: Node): MapNode {
    let tokens = emptyMap(at.where, 'proxy.auth.tokens')
    for (const { name, value, servers } of this.#lines) {
      let token = withEntry(emptyMap(value.where, value.path), 'value', value)
      token = withEntry(token, 'level', scalar('read-write', value))
      if (servers !== 'all') token = withEntry(token, 'servers', wordList(servers, value))
      tokens = withEntry(tokens, name, token)
    }
    return tokens
  }
}

export const wordList = (words: readonly string[], at: Node): ListNode => ({
  kind: 'list',
  where: at.where,
  path: at.path,
  items: words.map((word) => scalar(word, at)),
})
