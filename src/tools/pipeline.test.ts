import { expect, test } from 'vitest'
import { manualClock } from '../../test/support/clock.ts'
import { callerOf } from '../../test/support/databases.ts'
import { testTool, text } from '../../test/support/tools.ts'
import { createPipeline } from './pipeline.ts'

test('lists a tool as the same object each time, with the hints for the level of the caller', () => {
  const plain = testTool({ name: 'plain', run: () => text('') })
  const varying = {
    ...testTool({ name: 'varying', run: () => text('') }),
    annotationsFor: (level: string) => ({ readOnlyHint: level !== 'admin' }),
  }
  const pipeline = createPipeline({
    tools: [plain, varying],
    audit: { record: () => undefined, room: () => undefined },
    clock: manualClock(),
    observe: () => undefined,
  })
  for (const level of ['read-only', 'admin'] as const) {
    const [first, second] = pipeline.list(callerOf('ann', level))
    expect(first).toBe(plain)
    expect(second?.annotations).toEqual({ readOnlyHint: level !== 'admin' })
    expect(pipeline.list(callerOf('bob', level))[1]).toBe(second)
  }
})
