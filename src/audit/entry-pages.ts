import type { UnlinkedEntry } from './chain.ts'

/** Entries that are written together, as text: `time JSON` lines. JSON holds no line break of its own. */
export interface EntryPage {
  readonly bytes: Uint8Array
  readonly count: number
}

/** Room for some 2,000 entries; a longer entry gets a page of its own. */
const PAGE_BYTES = 524_288

/** UTF-8 takes at most this many bytes for one UTF-16 code unit. */
const MOST_BYTES_PER_UNIT = 3

interface OpenPage {
  readonly buffer: Buffer
  length: number
  count: number
}

/**
 * Entries that wait to be written, as bytes rather than as objects. Objects that live that long
 * are copied again and again by the garbage collector: measured, that cost more than writing them to the disk.
 */
export class EntryPages {
  readonly #entriesPerPage: number
  readonly #closed: OpenPage[] = []
  #open: OpenPage | undefined
  /** The buffer of the page written last, to be filled again. */
  #spare: Buffer | undefined
  #count = 0

  constructor(entriesPerPage: number) {
    this.#entriesPerPage = entriesPerPage
  }

  /** Entries on all pages. */
  get count(): number {
    return this.#count
  }

  /** Whether a page is full. */
  get hasFullPage(): boolean {
    return this.#closed.length > 0
  }

  push({ at, entry }: UnlinkedEntry): void {
    const line = `${at} ${entry}\n`
    const most = line.length * MOST_BYTES_PER_UNIT
    if (this.#open !== undefined && this.#open.buffer.length - this.#open.length < most) this.#close()
    this.#open ??= { buffer: this.#newBuffer(most), length: 0, count: 0 }
    const page = this.#open
    page.length += page.buffer.write(line, page.length)
    page.count += 1
    this.#count += 1
    if (page.count >= this.#entriesPerPage) this.#close()
  }

  /** The oldest page; one that is not full yet is closed for it. `undefined` when nothing waits. */
  first(): EntryPage | undefined {
    if (this.#closed.length === 0) this.#close()
    const page = this.#closed[0]
    return page && { bytes: page.buffer.subarray(0, page.length), count: page.count }
  }

  /** Forgets the oldest page: it has been written. */
  removeFirst(): void {
    const page = this.#closed.shift()
    if (!page) return
    this.#count -= page.count
    this.#spare = page.buffer
  }

  #close(): void {
    if (this.#open !== undefined) this.#closed.push(this.#open)
    this.#open = undefined
  }

  #newBuffer(most: number): Buffer {
    const spare = this.#spare
    this.#spare = undefined
    if (spare !== undefined && spare.length >= most) return spare
    // Shared, so that a thread reads it where it is: a copy for each page made that thread's collector the
    // dearest part of the record.
    return Buffer.from(new SharedArrayBuffer(Math.max(PAGE_BYTES, most)))
  }
}

/** Reads a page back, wherever it went. */
export function entriesOf({ bytes }: EntryPage): readonly UnlinkedEntry[] {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => {
      const space = line.indexOf(' ')
      return { at: Number(line.slice(0, space)), entry: line.slice(space + 1) }
    })
}
