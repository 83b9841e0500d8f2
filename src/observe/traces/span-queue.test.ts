import { afterEach, describe, expect, it } from 'vitest'
import { manualClock } from '../../../test/support/clock.ts'
import type { Observation } from '../observation.ts'
import { SpanQueue } from './span-queue.ts'

const settled = (): Promise<void> => new Promise(setImmediate)

let queue: SpanQueue<number>
let clock: ReturnType<typeof manualClock>
let batches: number[][]
let observations: Observation[]
/** What the collector does with a batch. */
let take: () => Promise<void>

function open(): void {
  clock = manualClock()
  batches = []
  observations = []
  take = () => Promise.resolve()
  queue = new SpanQueue(
    (spans) => {
      batches.push(spans)
      return take()
    },
    clock,
    (observation) => void observations.push(observation),
  )
}

const add = (count: number): void => {
  for (let n = 0; n < count; n += 1) queue.add(n)
}

afterEach(async () => {
  const closed = queue.close()
  clock.advance(2_000)
  await closed
})

describe('spans on their way', () => {
  it('go in one batch after a second, and at once when there are many', async () => {
    open()
    add(3)
    expect(batches).toEqual([])
    clock.advance(1_000)
    expect(batches).toEqual([[0, 1, 2]])
    await settled()
    add(512)
    expect(batches).toHaveLength(2)
  })

  it('go one batch at a time', async () => {
    open()
    const { promise, resolve } = Promise.withResolvers<void>()
    take = () => promise
    add(1_500)
    expect(batches.map(({ length }) => length)).toEqual([512])
    resolve()
    await settled()
    await settled()
    expect(batches.map(({ length }) => length)).toEqual([512, 512])
    clock.advance(1_000)
    expect(batches.map(({ length }) => length)).toEqual([512, 512, 476])
  })

  it('are dropped beyond a bound while the collector takes none', () => {
    open()
    take = () => new Promise(() => undefined)
    add(512 + 2_048 + 100)
    expect(observations).toEqual([
      { kind: 'traces.export_failed', message: 'it does not keep up', dropped: 1 },
    ])
    clock.advance(60_000)
    expect(observations.at(-1)).toMatchObject({ dropped: 99 })
  })

  it('are dropped when it fails; the log hears of it once a minute', async () => {
    open()
    take = () => Promise.reject(new Error('connect ECONNREFUSED'))
    for (let second = 0; second < 150; second += 1) {
      add(2)
      clock.advance(1_000)
      await settled()
    }
    expect(observations).toEqual([
      { kind: 'traces.export_failed', message: 'connect ECONNREFUSED', dropped: 2 },
      { kind: 'traces.export_failed', message: 'connect ECONNREFUSED', dropped: 118 },
      { kind: 'traces.export_failed', message: 'connect ECONNREFUSED', dropped: 120 },
    ])
    // Back again: nothing more to say than what was not said yet.
    take = () => Promise.resolve()
    add(1)
    clock.advance(61_000)
    await settled()
    clock.advance(61_000)
    const dropped = observations.map((one) => (one.kind === 'traces.export_failed' ? one.dropped : 0))
    expect(dropped.reduce((sum, each) => sum + each, 0)).toBe(300)
  })

  it('are sent to the last one at the end, unless that takes too long', async () => {
    open()
    add(700)
    await queue.close()
    expect(batches.flat()).toHaveLength(700)
    add(1)
    expect(clock.waiting).toBe(0)

    open()
    take = () => new Promise(() => undefined)
    add(600)
    const closing = queue.close()
    clock.advance(2_000)
    await closing
    expect(observations).toEqual([
      { kind: 'traces.export_failed', message: 'it did not take them in time', dropped: 88 },
    ])
    expect(clock.waiting).toBe(0)
  })
})
