import { variableWord } from '../rows.ts'

/** A variable that the imported configuration needs. */
export interface NeededVariable {
  readonly name: string
  /** Native paths of the values that it is for. */
  readonly paths: readonly string[]
  /** `reference`: the file named it. `plain`: its value stood in the file. `default`: so did what it falls back to. */
  readonly because: 'reference' | 'plain' | 'default'
}

interface Known {
  readonly paths: string[]
  readonly because: NeededVariable['because']
  /** The value that stood in the file, by which the same value gets the same variable. */
  readonly value: string | undefined
}

/** Finds names for values that must not stand in a file. */
export class Variables {
  readonly #known = new Map<string, Known>()

  /** @param reserved names that the file refers to: what they hold is not known */
  constructor(reserved: Iterable<string>) {
    this.#reserved = new Set(reserved)
  }

  readonly #reserved: ReadonlySet<string>

  /** The file names this variable itself. */
  refer(name: string, path: string, because: 'reference' | 'default'): void {
    const known = this.#known.get(name)
    if (known) known.paths.push(path)
    else this.#known.set(name, { paths: [path], because, value: undefined })
  }

  /** A variable for a value that stood in the file, called by one of these names if it is free. */
  take(value: string, path: string, wanted: readonly string[]): string {
    for (const name of this.#names(wanted)) {
      const known = this.#known.get(name)
      if (known?.value === value) {
        known.paths.push(path)
        return name
      }
      if (known || this.#reserved.has(name)) continue
      this.#known.set(name, { paths: [path], because: 'plain', value })
      return name
    }
    throw new TypeError('names do not end')
  }

  /** In order of the names. */
  get needed(): readonly NeededVariable[] {
    return [...this.#known]
      .map(([name, { paths, because }]) => ({ name, paths, because }))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  *#names(wanted: readonly string[]): Generator<string> {
    const words = wanted.map((word) => {
      const name = variableWord(word).replace(/^(?=\d)/, '_')
      // Variables that start so are settings of Postern.
      return name.startsWith('POSTERN_') ? `MCP_${name}` : name
    })
    yield* words
    for (let count = 2; ; count += 1) yield `${words.at(-1)}_${count}`
  }
}
