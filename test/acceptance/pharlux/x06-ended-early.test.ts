import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask } from '../../support/postern.ts'
import { ROOT } from '../pgedge/room.ts'
import { openReplicas, PASSWORD, type Replicas, statusOf } from './replicas.ts'

const OTHER = 'another horse battery staple'

describe.each(['sqlite', 'postgres'] as const)('two processes on a store of %s', (kind) => {
  let here: Replicas

  beforeAll(async () => {
    here = await openReplicas(kind)
    await here.add('bystander')
  })
  afterAll(() => here?.close())

  const patch = async (id: string, json: unknown): Promise<void> => {
    const { status } = await ask(`${here.one.url}/api/v1/admin/users/${id}`, ROOT, { method: 'PATCH', json })
    expect(status).toBe(200)
  }
  const command = async (args: readonly string[], input?: string): Promise<void> => {
    const { code, stderr } = await here.room.run(args, input)
    expect(code, stderr).toBe(0)
  }

  it.each<[string, (id: string, name: string) => Promise<void>]>([
    [
      'deleting the user over HTTP',
      async (id) => {
        const path = `${here.one.url}/api/v1/admin/users/${id}`
        expect((await ask(path, ROOT, { method: 'DELETE' })).status).toBe(204)
      },
    ],
    ['deleting the user by command', async (id) => await command(['user', 'delete', '--user-id', id])],
    ['another role', async (id) => await patch(id, { role: 'writer' })],
    ['another password over HTTP', async (id) => await patch(id, { password: OTHER })],
    [
      'another password by command',
      async (_, name) =>
        await command(['user', 'reset-password', '--username', name, '--password-stdin'], `${OTHER}\n`),
    ],
    ['disabling the user', async (id) => await patch(id, { disabled: true })],
  ])('X6 %s ends the tokens with a query running and a stream open, on both', async (what, act) => {
    const bystander = await here.work(await here.login('bystander'), here.two)
    const name = `user-${what.replaceAll(/[^a-z]/gi, '-').toLowerCase()}`
    const id = await here.add(name)
    const tokens = [await here.login(name, here.one), await here.login(name, here.two)] as const
    // Each token is shown to both: what one of them remembers must end there as well.
    const open = []
    for (const token of tokens) for (const at of here.both) open.push(await here.work(token, at))
    await act(id, name)
    for (const work of open) await work.hasEnded()
    for (const token of tokens) for (const at of here.both) expect(await statusOf(token, at)).toBe(401)
    expect(await bystander.goesOn()).toBe(true)
    await bystander.stop()
  })

  it('X6 signing out at one process ends that token on both, and no other', async () => {
    const bystander = await here.work(await here.login('bystander'), here.two)
    await here.add('alice')
    const [gone, kept] = [await here.login('alice', here.one), await here.login('alice', here.two)]
    const open = [await here.work(gone, here.one), await here.work(gone, here.two)]
    const other = await here.work(kept, here.one)
    const logout = await ask(`${here.two.url}/api/v1/auth/logout`, gone, { method: 'POST' })
    expect(logout.status).toBe(204)
    for (const work of open) await work.hasEnded()
    for (const at of here.both) {
      expect(await statusOf(gone, at)).toBe(401)
      expect(await statusOf(kept, at)).toBe(200)
    }
    expect(await other.goesOn()).toBe(true)
    await other.stop()
    expect(await bystander.goesOn()).toBe(true)
    await bystander.stop()
  })

  it('X6 a change that leaves the rights as they are ends nothing', async () => {
    const id = await here.add('carol')
    const work = await here.work(await here.login('carol'), here.two)
    await patch(id, { email: 'carol@example.com' })
    expect(await here.login('carol@example.com', here.two, PASSWORD)).toMatch(/^eyJ/)
    expect(await work.goesOn()).toBe(true)
    await work.stop()
  })
})
