import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Hands a plan to a worker file of this folder, in a process of its own, and gives what it answers. */
export async function inProcess<Result>(file: string, plan: object): Promise<Result> {
  const worker = fork(fileURLToPath(new URL(file, import.meta.url)))
  return await new Promise((resolve, reject) => {
    worker.once('message', (result) => {
      resolve(result as Result)
    })
    worker.once('error', reject)
    // Not `exit`: the answer may still be on its way then.
    worker.once('disconnect', () => {
      reject(new Error(`${file} ended without an answer`))
    })
    worker.send(plan)
  })
}
