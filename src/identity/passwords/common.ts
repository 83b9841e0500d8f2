import { readFile, stat } from 'node:fs/promises'
import { Fault } from '../../lib/fault.ts'
import { systemCode } from '../../lib/system-code.ts'
import type { Observe } from '../../observe/observation.ts'

/** The passwords that attackers try first, in small letters. */
export interface CommonPasswords {
  has(password: string): boolean
}

/** A list of the operator's own. */
export interface CommonFile {
  /** Absolute path: UTF-8, one password a line. */
  readonly path: string
  /** Whether the list of the package counts, too. */
  readonly mode: 'add' | 'replace'
}

/** Some million passwords; what is longer is no list but a mistake, and would take the memory of everything else. */
export const LONGEST_LIST_BYTES = 16 * 1_024 * 1_024

/** Those of the package, and those of the operator's own file. */
export class CommonLists {
  readonly #file: CommonFile | null
  readonly #observe: Observe
  #package: Promise<CommonPasswords> | undefined
  #own: ReadonlySet<string> | undefined

  constructor(file: CommonFile | null, observe: Observe) {
    this.#file = file
    this.#observe = observe
  }

  /** Some 49,000 of the package are read (5 MB) when a password is set for the first time. */
  async load(): Promise<CommonPasswords> {
    if (!this.#file) return await this.#loadPackage()
    const own = (this.#own ??= await readList(this.#file.path))
    if (this.#file.mode === 'replace') return own
    const common = await this.#loadPackage()
    return { has: (password) => own.has(password) || common.has(password) }
  }

  /**
   * Reads the own file now, so that what is wrong with it is heard of at the start.
   *
   * @throws Fault `config_invalid`
   */
  async open(): Promise<void> {
    if (this.#file) this.#own = await readList(this.#file.path)
  }

  /** Reads it again. One that cannot be used changes nothing: rules are not loosened by a mistake. */
  async reload(): Promise<void> {
    try {
      await this.open()
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      this.#observe({ kind: 'config.warning', message: `Not reloaded: ${error.message}` })
    }
  }

  #loadPackage(): Promise<CommonPasswords> {
    return (this.#package ??= import('@zxcvbn-ts/language-common').then(
      ({ dictionary }) => new Set<string>(dictionary['passwords-common']),
    ))
  }
}

/** @throws Fault `config_invalid` */
async function readList(path: string): Promise<ReadonlySet<string>> {
  const unusable = (why: string, cause?: unknown): Fault =>
    new Fault('config_invalid', `the list of passwords ${path} cannot be used: ${why}`, { cause })
  try {
    const found = await stat(path)
    if (!found.isFile()) throw unusable('it is not a file')
    const { size } = found
    if (size > LONGEST_LIST_BYTES) throw unusable(`it is larger than ${LONGEST_LIST_BYTES} bytes`)
    const bytes = await readFile(path)
    // It may have grown in between.
    if (bytes.length > LONGEST_LIST_BYTES) throw unusable(`it is larger than ${LONGEST_LIST_BYTES} bytes`)
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    const list = new Set(text.split(/\r?\n/).map((line) => line.normalize('NFKC').toLowerCase()))
    list.delete('')
    if (list.size === 0) throw unusable('it has no password')
    return list
  } catch (error) {
    if (error instanceof Fault) throw error
    if (error instanceof TypeError) throw unusable('it is not text in UTF-8', error)
    const code = systemCode(error) ?? 'it cannot be read'
    throw unusable(code === 'ENOENT' ? 'there is no such file' : code, error)
  }
}
