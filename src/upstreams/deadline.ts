import type { Clock } from '../lib/clock.ts'

export interface Deadline {
  readonly signal: AbortSignal
  /** Aborts as well. */
  abort(reason: Error): void
  /** To be called in any case: lets go of timer and signal. */
  done(): void
  /** Stops the time, as while a person is asked; once for each `resume`. */
  suspend(): void
  resume(): void
}

/** A signal that is aborted with `late()` when the time is over, and with the parent's reason when that is. */
export function deadline(clock: Clock, timeoutMs: number, late: () => Error, parent?: AbortSignal): Deadline {
  const controller = new AbortController()
  let leftMs = timeoutMs
  let startedAt = 0
  let suspended = 0
  let cancel: (() => void) | undefined
  const start = (): void => {
    startedAt = clock.now()
    cancel = clock.after(leftMs, () => {
      controller.abort(late())
    })
  }
  const onAbort = (): void => {
    controller.abort(parent?.reason)
  }
  if (parent?.aborted === true) onAbort()
  else {
    parent?.addEventListener('abort', onAbort)
    start()
  }
  return {
    signal: controller.signal,
    abort(reason) {
      controller.abort(reason)
    },
    done() {
      cancel?.()
      suspended = Infinity
      parent?.removeEventListener('abort', onAbort)
    },
    suspend() {
      suspended += 1
      if (suspended !== 1) return
      cancel?.()
      leftMs = Math.max(0, leftMs - (clock.now() - startedAt))
    },
    resume() {
      suspended -= 1
      if (suspended === 0 && !controller.signal.aborted) start()
    },
  }
}
