/** The longest name that every revision allows (2025-11-25 tools, "Tool Names"). Many clients count their own prefix, too. */
export const LONGEST_PREFIXED_NAME = 128

/** A tool or prompt of one server. */
export interface ServerItem {
  readonly server: string
  readonly name: string
}

/** How the tools and prompts of all servers are named where all of them are one. */
export class Names {
  readonly #delimiter: string
  readonly #servers: () => readonly string[]

  /** @param servers the names of all configured servers, now: reading a name must not depend on who asks */
  constructor(delimiter: string, servers: () => readonly string[]) {
    this.#delimiter = delimiter
    this.#servers = servers
  }

  join({ server, name }: ServerItem): string {
    return `${server}${this.#delimiter}${name}`
  }

  /**
   * The server and its own name for a prefixed name; undefined when no server has that prefix. Where two servers
   * fit (`a` and `a__b`), the longer name is meant, always: what `a` calls `b__c` has no name here.
   */
  split(prefixed: string): ServerItem | undefined {
    let found: ServerItem | undefined
    for (const server of this.#servers()) {
      const prefix = server + this.#delimiter
      if (prefixed.length <= prefix.length || !prefixed.startsWith(prefix)) continue
      if (found === undefined || server.length > found.server.length) {
        found = { server, name: prefixed.slice(prefix.length) }
      }
    }
    return found
  }

  /** The prefixed name, or why there is none. */
  offer(item: ServerItem): { readonly name: string } | { readonly problem: 'name_too_long' | 'name_taken' } {
    const name = this.join(item)
    if (name.length > LONGEST_PREFIXED_NAME) return { problem: 'name_too_long' }
    const meant = this.split(name)
    return meant?.server === item.server && meant.name === item.name ? { name } : { problem: 'name_taken' }
  }
}
