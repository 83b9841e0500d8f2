import { afterEach, describe, expect, it } from 'vitest'
import {
  call,
  callerOf,
  callText,
  converse,
  openTestUpstreams,
  stdioUpstream,
  testInbox,
  type TestUpstreams,
} from '../../../test/support/upstreams/stdio-upstreams.ts'
import { Secret } from '../../lib/secret.ts'
import type { CredentialPlace } from '../user-credentials.ts'
import { endOnChange } from './end-on-change.ts'

const secret = new Secret('of its own')
let upstreams: TestUpstreams
let changed: (place: CredentialPlace) => void

afterEach(() => upstreams.close())

function open(): TestUpstreams {
  const userCredential = { kind: 'env', name: 'OWN', required: true } as const
  const opened = openTestUpstreams([stdioUpstream('unruly', { options: { userCredential } })], {
    credentials: { find: () => Promise.resolve(secret), known: () => secret },
  })
  const credentials = {
    onChange(heard: typeof changed) {
      changed = heard
      return () => undefined
    },
  }
  upstreams = { ...opened, upstreams: endOnChange(opened.upstreams, credentials) }
  return upstreams
}

const placeOf = (principal: string): CredentialPlace => ({ tenant: 'default', principal, server: 'unruly' })

describe('a credential that is changed', () => {
  it('ends what was begun with it, and nothing of others', async () => {
    open()
    const [mine, theirs] = [testInbox(), testInbox()]
    const own = await converse(upstreams, 'unruly', { inbox: mine })
    const other = await converse(upstreams, 'unruly', { inbox: theirs, caller: callerOf('b') })
    const running = call(own, 'hang')
    changed(placeOf('a'))
    expect(mine.endings).toEqual([expect.objectContaining({ code: 'credential_changed' })])
    await expect(running).rejects.toMatchObject({ code: 'upstream_unavailable' })
    expect(theirs.endings).toEqual([])
    expect(await callText(other, 'echo', { text: 'still here' })).toContain('still here')
  })

  it('ends what others hold when one of them throws', async () => {
    open()
    const broken = {
      ...testInbox(),
      ended() {
        throw new Error('a fault of ours')
      },
    }
    await converse(upstreams, 'unruly', { inbox: broken })
    const inbox = testInbox()
    await converse(upstreams, 'unruly', { inbox })
    expect(() => {
      changed(placeOf('a'))
    }).toThrow(AggregateError)
    expect(inbox.endings).toEqual([expect.objectContaining({ code: 'credential_changed' })])
  })

  it('is not waited for by a conversation that is just being begun', async () => {
    open()
    const begun = converse(upstreams, 'unruly')
    changed(placeOf('a'))
    await expect(begun).rejects.toMatchObject({ code: 'credential_changed' })
    await expect.poll(() => upstreams.upstreams.find('unruly')?.status().conversations).toBe(0)
  })
})
