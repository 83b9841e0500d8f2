/** What is remembered of one conversation; beyond it, servers are asked in order. */
const MOST_ADDRESSES = 10_000
const MOST_TEMPLATES = 1_000

/** Which server has the resource of an address, as far as lists and results have told. */
export class Homes {
  readonly #byUri = new Map<string, string>()
  /** Of addresses that nobody listed: whoever linked to one, or answered for it. */
  readonly #claimed = new Map<string, string>()
  readonly #templates: { readonly start: string; readonly server: string }[] = []

  /** The first server to list an address keeps it: lists are learnt in the order of the configuration. */
  learn(uri: string, server: string): void {
    if (this.#byUri.has(uri) || this.#byUri.size >= MOST_ADDRESSES) return
    this.#byUri.set(uri, server)
  }

  /** Any server can link to the address of another: a claim holds as long as nobody lists the address. */
  claim(uri: string, server: string): void {
    if (this.#claimed.has(uri) || this.#claimed.size >= MOST_ADDRESSES) return
    this.#claimed.set(uri, server)
  }

  /** Whether all that is known of an address is that somebody claimed it. */
  isClaim(uri: string): boolean {
    return this.#claimed.has(uri) && !this.#byUri.has(uri)
  }

  /** A URI template (RFC 6570) tells by what stands before its first variable. */
  learnTemplate(template: string, server: string): void {
    this.learn(template, server)
    const [start = ''] = template.split('{', 1)
    if (start === '' || this.#templates.length >= MOST_TEMPLATES) return
    if (this.#templates.some((known) => known.start === start)) return
    this.#templates.push({ start, server })
  }

  find(uri: string): string | undefined {
    const listed = this.#byUri.get(uri) ?? this.#claimed.get(uri)
    if (listed !== undefined) return listed
    let found: { readonly start: string; readonly server: string } | undefined
    for (const template of this.#templates) {
      if (uri.startsWith(template.start) && template.start.length > (found?.start.length ?? 0))
        found = template
    }
    return found?.server
  }

  forget(): void {
    this.#byUri.clear()
    this.#claimed.clear()
    this.#templates.length = 0
  }
}
