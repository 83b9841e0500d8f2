import { inspect } from 'node:util'

/**
 * A value that must not be printed. String conversion, JSON and `util.inspect` all show a placeholder;
 * only `reveal()` gives the value, so every place that handles plaintext can be found by that name.
 */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return '[secret]'
  }

  toJSON(): string {
    return '[secret]'
  }

  [inspect.custom](): string {
    return '[secret]'
  }
}
