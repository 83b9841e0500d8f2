import { describe, expect, it } from 'vitest'
import { unlessAborted } from './unless-aborted.ts'

describe('what a promise settles to, unless aborted', () => {
  it('is its value or its fault', async () => {
    const { signal } = new AbortController()
    expect(await unlessAborted(Promise.resolve(1), signal)).toBe(1)
    await expect(unlessAborted(Promise.reject(new Error('broken')), signal)).rejects.toThrow('broken')
  })

  it('is the reason once the signal is aborted, before or while it waits', async () => {
    const controller = new AbortController()
    const waiting = unlessAborted(new Promise(() => undefined), controller.signal)
    controller.abort(new Error('enough'))
    await expect(waiting).rejects.toThrow('enough')
    await expect(unlessAborted(Promise.resolve(1), controller.signal)).rejects.toThrow('enough')
  })

  it('leaves a later fault to nobody', async () => {
    const late = Promise.withResolvers<never>()
    await expect(unlessAborted(late.promise, AbortSignal.abort(new Error('enough')))).rejects.toThrow(
      'enough',
    )
    late.reject(new Error('too late'))
    // An unhandled rejection would fail the run.
    await new Promise((resolve) => setImmediate(resolve))
  })
})
