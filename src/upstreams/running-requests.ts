import { Fault } from '../lib/fault.ts'

/** Counts the requests that run on one server, of all callers and on every way to it. */
export class RunningRequests {
  readonly #server: string
  readonly #most: number
  #count = 0

  constructor(server: string, most: number) {
    this.#server = server
    this.#most = most
  }

  get count(): number {
    return this.#count
  }

  /**
   * To be followed by one `end`.
   *
   * @throws Fault `upstream_busy`
   */
  begin(): void {
    if (this.#count >= this.#most)
      throw new Fault(
        'upstream_busy',
        `MCP server "${this.#server}" has no room for another request. Try again in a moment.`,
        {
          retryAfterS: 1,
        },
      )
    this.#count += 1
  }

  end(): void {
    this.#count -= 1
  }
}
