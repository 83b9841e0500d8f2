import { write, writeSync } from 'node:fs'
import type { Clock } from '../lib/clock.ts'
import { hasCode, systemCode } from '../lib/system-code.ts'

/** Written when so much waits, or after `FLUSH_MS`. Characters. */
const ENOUGH_TO_WRITE = 65_536
const FLUSH_MS = 100

/** After a failed write the same lines are tried again this much later. */
const RETRY_MS = 500

/** What may wait for an output that takes nothing; later lines are counted and lost. Characters. */
const MOST_WAITING = 1_048_576

/** How long `flush` tries: the process is about to end, and a stuck output must not keep it. */
const LONGEST_FLUSH_MS = 1_000

const NOTHING = Buffer.alloc(0)

export interface LinesLost {
  readonly count: number
  /** The system's word for what was wrong, such as `ENOSPC`. */
  readonly problem: string
}

/**
 * Writes lines to a file descriptor without waiting for it. A full disk or a reader that stopped reading costs
 * lines of the log and never the gateway: what cannot be written waits, within bounds, and is tried again.
 */
export class LogOutput {
  readonly #fd: number
  readonly #clock: Clock
  readonly #onLost: (lost: LinesLost) => void
  #waiting = ''
  /** What is being written, or could not be: it goes before what waits. */
  #chunk: Buffer | undefined
  #underWay = false
  #cancelTimer: (() => void) | undefined
  #lost = 0
  #problem = ''
  #gone = false

  /** @param onLost called when lines are written again after some were lost */
  constructor(fd: number, clock: Clock, onLost: (lost: LinesLost) => void) {
    this.#fd = fd
    this.#clock = clock
    this.#onLost = onLost
  }

  write(line: string): void {
    if (this.#gone) return
    if (this.#waiting.length + line.length > MOST_WAITING) {
      this.#lost += 1
      return
    }
    this.#waiting += line
    if (this.#chunk !== undefined) return
    if (this.#waiting.length >= ENOUGH_TO_WRITE) this.#send()
    else this.#sendAfter(FLUSH_MS)
  }

  /** Writes what waits before it returns, as far as the output takes it. */
  flush(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    const until = performance.now() + LONGEST_FLUSH_MS
    // The system has the chunk of a write that is under way; a second copy would double its lines.
    let rest = Buffer.concat([(!this.#underWay && this.#chunk) || NOTHING, Buffer.from(this.#waiting)])
    this.#waiting = ''
    while (rest.length > 0 && !this.#gone) {
      try {
        rest = rest.subarray(writeSync(this.#fd, rest))
      } catch (error) {
        if (!hasCode(error, 'EAGAIN') || performance.now() > until) break
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
      }
    }
    if (!this.#underWay) this.#chunk = rest.length > 0 ? rest : undefined
  }

  #sendAfter(delayMs: number): void {
    this.#cancelTimer ??= this.#clock.after(delayMs, () => {
      this.#cancelTimer = undefined
      this.#send()
    })
  }

  #send(): void {
    if (this.#underWay) return
    if (this.#chunk === undefined) {
      if (this.#waiting === '') return
      this.#chunk = Buffer.from(this.#waiting)
      this.#waiting = ''
    }
    this.#underWay = true
    write(this.#fd, this.#chunk, (error, written) => {
      this.#underWay = false
      if (error) this.#failed(systemCode(error) ?? 'unknown')
      else this.#wrote(written)
    })
  }

  #wrote(written: number): void {
    const rest = this.#chunk?.subarray(written)
    if (rest !== undefined && rest.length > 0) {
      this.#chunk = rest
      this.#send()
      return
    }
    this.#chunk = undefined
    if (this.#waiting.length >= ENOUGH_TO_WRITE) this.#send()
    else if (this.#waiting !== '') this.#sendAfter(FLUSH_MS)
    if (this.#lost === 0) return
    const lost = { count: this.#lost, problem: this.#problem }
    this.#lost = 0
    this.#onLost(lost)
  }

  #failed(code: string): void {
    this.#problem = code
    // The reader of a pipe went away: nobody is left to tell.
    this.#gone ||= code === 'EPIPE' || code === 'EBADF'
    if (this.#gone) this.#waiting = ''
    else this.#sendAfter(RETRY_MS)
  }
}
