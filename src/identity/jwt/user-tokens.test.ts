import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { manualClock } from '../../../test/support/clock.ts'
import { headerOf, type JwtRoom, openJwtRoom } from '../../../test/support/jwt.ts'
import { sha256Hex } from '../../lib/digest.ts'
import { systemClock } from '../../lib/clock.ts'
import { openStore } from '../../store/open.ts'
import { Expiries } from '../expiries.ts'
import { Lifelines } from '../lifelines.ts'
import type { JwtKeys } from './key-files.ts'
import { createKeyRing } from './key-ring.ts'
import { newKey, readSigningKey } from './key.ts'
import { readKeys } from './read-keys.ts'
import { UserTokens } from './user-tokens.ts'

let room: JwtRoom
afterEach(() => room?.close())

it('does not let a token in, or remember it, whose key goes away while its user is looked up', async () => {
  room = await openJwtRoom('HS256')
  const clock = manualClock()
  const token = await (await room.open(clock)).signIn()
  const keys = await readKeys(room.source)
  if (!keys) throw new Error('no key')
  const before = createKeyRing(keys.signing, [])
  const after = createKeyRing(readSigningKey(await newKey('HS256'), 'HS256'), [])
  expect(before.find(String(headerOf(token)['kid']), clock.now())).toBeDefined()

  /** The ring that verifies is the old one; whoever looks again sees the new one. */
  let looks = 0
  const going: JwtKeys = {
    get ring() {
      looks += 1
      return looks === 1 ? before : after
    },
    watch: async () => {
      await Promise.resolve()
    },
    refresh: async () => await Promise.resolve(false),
    close: async () => {
      await Promise.resolve()
    },
  }
  const store = await openStore(
    { kind: 'sqlite', file: join(room.dir, 'postern.db') },
    { clock: systemClock, observe: () => {} },
  )
  const tokens = new UserTokens({
    store,
    clock,
    observe: () => {},
    lifelines: new Lifelines(),
    expiries: new Expiries(clock, () => {}),
    end: () => {},
    keys: going,
    rules: { namespace: 'postern', issuer: 'postern', audience: 'postern', ttlSeconds: 3_600 },
  })
  try {
    await tokens.start()
    const digest = sha256Hex(token)
    expect(await tokens.find(token, digest, clock.now())).toEqual({ status: 'unknown' })
    expect(looks).toBe(2)
    expect(await tokens.find(token, digest, clock.now())).toEqual({ status: 'unknown' })
  } finally {
    await tokens.close()
    await store.close()
  }
})
