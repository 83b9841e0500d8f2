/** Remembers values by text, the most recently used, within a number of entries and of characters of text. */
export class BoundedMemory<T> {
  readonly #entries = new Map<string, T>()
  readonly #most: number
  readonly #mostCharacters: number
  #characters = 0

  constructor(most: number, mostCharacters: number) {
    this.#most = most
    this.#mostCharacters = mostCharacters
  }

  get(key: string): T | undefined {
    const value = this.#entries.get(key)
    if (value !== undefined) {
      this.#entries.delete(key)
      this.#entries.set(key, value)
    }
    return value
  }

  set(key: string, value: T): void {
    // One long text must not push out everything else.
    if (key.length > this.#mostCharacters / 10) return
    if (this.#entries.delete(key)) this.#characters -= key.length
    this.#entries.set(key, value)
    this.#characters += key.length
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#most && this.#characters <= this.#mostCharacters) break
      this.#entries.delete(oldest)
      this.#characters -= oldest.length
    }
  }

  get size(): number {
    return this.#entries.size
  }
}
