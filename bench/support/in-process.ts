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
    worker.once('exit', (code) => {
      reject(new Error(`${file} ended with ${code}`))
    })
    worker.send(plan)
  })
}
