/** A wall clock and a timer that tests can hold still. Times are milliseconds since the Unix epoch. */
export interface Clock {
  now(): number
  /** Calls `task` once after `delayMs`; the returned function cancels it. Never keeps the process alive. */
  after(delayMs: number, task: () => void): () => void
}

/** The longest delay that `setTimeout` honours; longer ones fire at once (ECMAScript 32-bit limit). */
const LONGEST_TIMER_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  after(delayMs, task) {
    let timer: NodeJS.Timeout
    const arm = (remainingMs: number): void => {
      const stepMs = Math.min(remainingMs, LONGEST_TIMER_MS)
      timer = setTimeout(() => {
        if (remainingMs > stepMs) arm(remainingMs - stepMs)
        else task()
      }, stepMs)
      timer.unref()
    }
    arm(Math.max(0, delayMs))
    return () => {
      clearTimeout(timer)
    }
  },
}
