import { expect, it } from 'vitest'
import { manualClock } from '../../../test/support/clock.ts'
import { LoginLimits } from './login-limits.ts'

const HERE = '192.0.2.1'
const THERE = '198.51.100.7'

const failTimes = (limits: LoginLimits, times: number, account = 'alice', address = HERE): void => {
  for (let at = 0; at < times; at += 1) limits.failed(account, address)
}

it('X10 lets a few mistakes pass, then doubles the wait, up to a quarter of an hour', () => {
  const clock = manualClock()
  const limits = new LoginLimits(clock)
  failTimes(limits, 4)
  expect(limits.blocked('alice', HERE)).toBeNull()
  const waits: number[] = []
  for (let at = 0; at < 13; at += 1) {
    limits.failed('alice', HERE)
    const { waitMs = 0 } = limits.blocked('alice', HERE) ?? {}
    waits.push(waitMs / 1_000)
    clock.jump(waitMs)
  }
  expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900])
  expect(limits.blocked('alice', HERE)).toBeNull()
})

it('X10 asking while one waits does not make the wait longer', () => {
  const clock = manualClock()
  const limits = new LoginLimits(clock)
  failTimes(limits, 5)
  for (let at = 0; at < 100; at += 1) expect(limits.blocked('alice', HERE)?.waitMs).toBe(1_000)
})

it('X10 nobody locks anybody else out', () => {
  const limits = new LoginLimits(manualClock())
  failTimes(limits, 40)
  expect(limits.blocked('alice', HERE)?.rule).toBe('login.account')
  // Alice herself, elsewhere; and somebody else at the same address.
  expect(limits.blocked('alice', THERE)).toBeNull()
  expect(limits.blocked('bob', HERE)).toBeNull()
})

it('X10 an address that tries many accounts is slowed down as a whole, and no other one', () => {
  const clock = manualClock()
  const limits = new LoginLimits(clock)
  for (let at = 0; at < 50; at += 1) limits.failed(`user-${at}`, HERE)
  expect(limits.blocked('somebody', HERE)).toEqual({ rule: 'login.address', waitMs: 10_000 })
  expect(limits.blocked('somebody', THERE)).toBeNull()
  clock.jump(10_000)
  expect(limits.blocked('somebody', HERE)).toBeNull()
  limits.failed('somebody', HERE)
  expect(limits.blocked('somebody', HERE)?.rule).toBe('login.address')
})

it('forgets after a success, and after half an hour', () => {
  const clock = manualClock()
  const limits = new LoginLimits(clock)
  failTimes(limits, 4)
  limits.succeeded('alice', HERE)
  failTimes(limits, 4)
  expect(limits.blocked('alice', HERE)).toBeNull()
  clock.jump(30 * 60_000)
  failTimes(limits, 4)
  expect(limits.blocked('alice', HERE)).toBeNull()
})
