import { join } from 'node:path'
import { expect, it } from 'vitest'
import { manualClock } from '../../test/support/clock.ts'
import { temporaryDirectory } from '../../test/support/identity.ts'
import { systemClock } from '../lib/clock.ts'
import { openStore } from '../store/open.ts'
import { listTokenUses } from '../store/token-uses.ts'
import { TokenUses } from './token-uses.ts'

it('sets no timer any more once it is closed, also when a write was under way', async () => {
  const directory = await temporaryDirectory()
  const observe = (): void => undefined
  const store = await openStore(
    { kind: 'sqlite', file: join(directory.path, 'postern.db') },
    { clock: systemClock, observe },
  )
  try {
    const clock = manualClock()
    const uses = new TokenUses(store, clock, observe)
    uses.start()
    uses.note('tok_1', 7)
    clock.advance(60_000)
    // The write that the timer began is under way.
    await uses.close()
    await expect
      .poll(() => listTokenUses(store.db, '', 10))
      .toEqual([{ credentialId: 'tok_1', lastUsedAt: 7 }])
    await new Promise(setImmediate)
    expect(clock.waiting).toBe(0)
  } finally {
    await store.close()
    await directory.remove()
  }
})
