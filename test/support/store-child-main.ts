import { setTimeout as delay } from 'node:timers/promises'
import { openIdentity } from '../../src/identity/open.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { Secret } from '../../src/lib/secret.ts'
import { openStore, type Store } from '../../src/store/open.ts'
import type { ChildCommand, ChildStore } from './store-child.ts'

const { store: options, tokenFile } = JSON.parse(process.argv[2] ?? '{}') as {
  readonly store: ChildStore
  readonly tokenFile: string | null
}

const observe = (): void => {}
let opened: Promise<Store> | undefined
const open = (): Promise<Store> =>
  (opened ??= openStore(
    options.kind === 'sqlite' ? options : { kind: 'postgres', url: new Secret(options.url) },
    { clock: systemClock, observe },
  ))

const openTokens = async () =>
  await openIdentity({
    store: await open(),
    staticTokens: [],
    tokenFile,
    enabled: true,
    clock: systemClock,
    observe,
    tenantDefault: 'default',
    purpose: 'manage',
  })

async function run(command: ChildCommand): Promise<unknown> {
  switch (command.op) {
    case 'open':
      return (await open()).kind
    case 'touch':
      return await (await open()).change('tokens', async (_trx, revision) => await Promise.resolve(revision))
    case 'hold-lock':
      await (
        await open()
      ).change('tokens', async () => {
        await delay(command.ms)
      })
      return 'released'
    case 'add': {
      const identity = await openTokens()
      const added = await identity.tokens.add(
        { note: command.note },
        command.into === undefined ? {} : { into: command.into },
      )
      await identity.close()
      if (!added.ok) throw new Error(added.error.message)
      return { token: added.value.token.reveal(), id: added.value.record.id }
    }
    case 'remove': {
      const identity = await openTokens()
      const removed = await identity.tokens.remove(command.id)
      await identity.close()
      return removed.ok
    }
    case 'rotate': {
      const identity = await openTokens()
      const rotated = await identity.tokens.rotate(command.id, command.graceMs)
      await identity.close()
      return rotated.ok
    }
    case 'bootstrap': {
      const identity = await openTokens()
      const made = await identity.bootstrapAdmin()
      await identity.close()
      return made !== null
    }
    default:
      throw new Error(`unknown command ${JSON.stringify(command satisfies never)}`)
  }
}

process.on('message', (command: ChildCommand) => {
  run(command).then(
    (value) => process.send?.({ value }),
    (error: unknown) => process.send?.({ error: error instanceof Error ? error.message : String(error) }),
  )
})
process.on('disconnect', () => {
  void (async () => {
    await (await opened)?.close()
  })().finally(() => process.exit(0))
})
process.send?.('ready')
