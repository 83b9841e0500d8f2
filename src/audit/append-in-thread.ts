import { Worker } from 'node:worker_threads'
import { threadEnvironment } from '../lib/thread-environment.ts'
import type { Append } from './append.ts'
import type { EntryPage } from './entry-pages.ts'

/** What goes to the thread and what comes back. */
export interface AppendRequest {
  readonly id: number
  readonly page: EntryPage
}
export type AppendReply = { readonly id: number; readonly failed?: string }

export interface AppendThread {
  readonly append: Append
  close(): Promise<void>
}

/** The sources run as they are; the built package has JavaScript in their place. */
const THREAD = new URL(
  import.meta.url.endsWith('.ts') ? './append-thread.ts' : './append-thread.js',
  import.meta.url,
)

/**
 * Appends from a thread of its own, with its own connection to the SQLite file. A commit there waits for the
 * disk (an fsync, a millisecond or sixty), and while it waits on the main thread no request moves.
 */
export function appendInThread(file: string): AppendThread {
  let running: RunningThread | undefined
  let count = 0

  const start = (): RunningThread => {
    const worker = new Worker(THREAD, { workerData: { file }, env: threadEnvironment() })
    const waiting: RunningThread['waiting'] = new Map()
    const started = { worker, waiting }
    worker.unref()
    worker.on('message', ({ id, failed }: AppendReply) => {
      const one = waiting.get(id)
      waiting.delete(id)
      if (failed === undefined) one?.done()
      else one?.fail(new Error(failed))
    })
    // A thread that died is started anew by the next append; what it had not committed is still with the writer.
    const lost = (reason: string): void => {
      if (running === started) running = undefined
      const pending = [...waiting.values()]
      waiting.clear()
      for (const { fail } of pending) fail(new Error(reason))
    }
    worker.on('error', (error) => {
      lost(error instanceof Error ? error.message : String(error))
    })
    worker.on('exit', () => {
      lost('the thread that writes the audit record ended')
    })
    return started
  }

  return {
    append: (page) =>
      new Promise((done, fail) => {
        const id = (count += 1)
        running ??= start()
        running.waiting.set(id, { done, fail })
        running.worker.postMessage({ id, page } satisfies AppendRequest)
      }),
    async close() {
      await running?.worker.terminate()
    },
  }
}

/** A thread and what it was asked: the end of one must not answer for the next. */
interface RunningThread {
  readonly worker: Worker
  readonly waiting: Map<number, { readonly done: () => void; readonly fail: (reason: Error) => void }>
}
