/** The thread behind `append-in-thread.ts`: one connection, one append after the other. */
import { parentPort, workerData } from 'node:worker_threads'
import { openSqliteConnection } from '../store/sqlite/connection.ts'
import { appendTo } from './append.ts'
import type { AppendReply, AppendRequest } from './append-in-thread.ts'

const { file } = workerData as { readonly file: string }
const append = appendTo(openSqliteConnection(file))
let last = Promise.resolve()

parentPort?.on('message', ({ id, page }: AppendRequest) => {
  last = last.then(async () => {
    let reply: AppendReply = { id }
    try {
      await append(page)
    } catch (error) {
      reply = { id, failed: error instanceof Error ? error.message : String(error) }
    }
    parentPort?.postMessage(reply)
  })
})
