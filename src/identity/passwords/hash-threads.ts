import { Worker } from 'node:worker_threads'
import { threadEnvironment } from '../../lib/thread-environment.ts'
import type { HashCost } from './hasher.ts'

export type HashTask =
  | { readonly kind: 'hash'; readonly password: string; readonly cost: HashCost }
  | { readonly kind: 'verify'; readonly password: string; readonly hash: string }

export type HashReply =
  { readonly hash: string } | { readonly matches: boolean } | { readonly failed: string }

/** The sources run as they are; the built package has JavaScript in their place. */
const THREAD = new URL(
  import.meta.url.endsWith('.ts') ? './hash-thread.ts' : './hash-thread.js',
  import.meta.url,
)

/** Nobody signs in for this long: the threads give their memory back. Milliseconds. */
const IDLE_MS = 60_000

/** JavaScript needs next to nothing there; what a hash needs is outside of its heap. */
const HEAP = { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 }

interface Thread {
  readonly worker: Worker
  running: { readonly done: (reply: HashReply) => void; readonly fail: (reason: Error) => void } | undefined
  idle: NodeJS.Timeout | undefined
}

/**
 * Threads that do nothing but hash, each started when it is needed for the first time. Not the pool of libuv: files and
 * name look-ups share that, and its threads take as much of a core as the event loop does.
 */
export class HashThreads {
  readonly #free: Thread[] = []
  readonly #all = new Set<Thread>()

  /** Runs one task; the caller sees to it that no more run at once than there should be threads. */
  async run(task: HashTask): Promise<HashReply> {
    const thread = this.#free.pop() ?? this.#start()
    clearTimeout(thread.idle)
    // A command that hashes must not end before its hash is there; an idle thread holds up nobody.
    thread.worker.ref()
    return await new Promise<HashReply>((done, fail) => {
      thread.running = { done, fail }
      thread.worker.postMessage(task)
    })
  }

  async close(): Promise<void> {
    await Promise.all(Array.from(this.#all, ({ worker, idle }) => (clearTimeout(idle), worker.terminate())))
  }

  #start(): Thread {
    const worker = new Worker(THREAD, { resourceLimits: HEAP, env: threadEnvironment() })
    const thread: Thread = { worker, running: undefined, idle: undefined }
    this.#all.add(thread)
    worker.on('message', (reply: HashReply) => {
      const { running } = thread
      thread.running = undefined
      this.#rest(thread)
      running?.done(reply)
    })
    const lost = (reason: Error): void => {
      this.#all.delete(thread)
      const at = this.#free.indexOf(thread)
      if (at >= 0) this.#free.splice(at, 1)
      thread.running?.fail(reason)
      thread.running = undefined
    }
    worker.on('error', (error) => {
      lost(error instanceof Error ? error : new Error(String(error)))
    })
    worker.on('exit', () => {
      lost(new Error('the thread that hashes passwords ended'))
    })
    return thread
  }

  #rest(thread: Thread): void {
    thread.worker.unref()
    this.#free.push(thread)
    thread.idle = setTimeout(() => {
      const at = this.#free.indexOf(thread)
      if (at >= 0) this.#free.splice(at, 1)
      void thread.worker.terminate()
    }, IDLE_MS)
    thread.idle.unref()
  }
}
