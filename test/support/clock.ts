import type { Clock } from '../../src/lib/clock.ts'

export interface ManualClock extends Clock {
  /** Moves time on and runs what becomes due, in the order of its time. */
  advance(ms: number): void
  /**
   * Moves time on in one step: what is due runs once, as after a sleep of the machine. For days, where
   * `advance` would run every short timer millions of times.
   */
  jump(ms: number): void
  /** Timers that wait. */
  readonly waiting: number
}

/** A clock that stands still until a test moves it. `start` is in milliseconds since the epoch. */
export function manualClock(start = Date.UTC(2026, 0, 1)): ManualClock {
  let now = start
  let count = 0
  const timers = new Map<number, { readonly at: number; readonly task: () => void }>()
  return {
    now: () => now,
    after(delayMs, task) {
      const id = (count += 1)
      timers.set(id, { at: now + Math.max(0, delayMs), task })
      return () => {
        timers.delete(id)
      }
    },
    advance(ms) {
      const until = now + ms
      for (;;) {
        const next = [...timers]
          .filter(([, timer]) => timer.at <= until)
          .sort(([idA, a], [idB, b]) => a.at - b.at || idA - idB)[0]
        if (!next) break
        timers.delete(next[0])
        now = Math.max(now, next[1].at)
        next[1].task()
      }
      now = until
    },
    jump(ms) {
      now += ms
      for (const [id, timer] of [...timers].sort(([, a], [, b]) => a.at - b.at)) {
        if (timer.at > now || !timers.delete(id)) continue
        timer.task()
      }
    },
    get waiting() {
      return timers.size
    },
  }
}
