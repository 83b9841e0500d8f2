import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { StoreOptions } from '../../src/store/open.ts'

/** What a second process is asked to do with a store; run by `store-child-main.ts`. */
export type ChildCommand =
  | { readonly op: 'open' }
  | { readonly op: 'touch' }
  | { readonly op: 'hold-lock'; readonly ms: number }
  | { readonly op: 'add'; readonly note: string; readonly into?: 'store' | 'token-file' }
  | { readonly op: 'remove'; readonly id: string }
  | { readonly op: 'rotate'; readonly id: string; readonly graceMs: number }
  | { readonly op: 'bootstrap' }

export interface StoreChild {
  ask(command: ChildCommand): Promise<unknown>
  close(): Promise<void>
}

export type ChildStore =
  { readonly kind: 'sqlite'; readonly file: string } | { readonly kind: 'postgres'; readonly url: string }

/** Starts a real second process on the same store, as the command line or another replica would be. */
export async function startStoreChild(
  store: ChildStore,
  tokenFile: string | null = null,
): Promise<StoreChild> {
  const main = fileURLToPath(new URL('store-child-main.ts', import.meta.url))
  const child = fork(main, [JSON.stringify({ store, tokenFile })], { execArgv: [] })
  await once(child, 'message')
  let last: Promise<unknown> = Promise.resolve()
  return {
    ask(command) {
      // One after the other: the answers carry no number.
      last = last.then(async () => {
        child.send(command)
        const [answer] = (await once(child, 'message')) as [
          { readonly value?: unknown; readonly error?: string },
        ]
        if (answer.error !== undefined) throw new Error(answer.error)
        return answer.value
      })
      return last
    },
    async close() {
      const ended = once(child, 'exit')
      child.disconnect()
      await ended
    },
  }
}

export const storeOptionsOf = (store: StoreOptions): ChildStore =>
  store.kind === 'sqlite' ? store : { kind: 'postgres', url: store.url.reveal() }
