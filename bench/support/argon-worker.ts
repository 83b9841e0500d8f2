/** As many comparisons with one Argon2id hash as the cores make: one thread each, and nothing beside them. */
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'
import { fileURLToPath } from 'node:url'
import { hashSync, verifySync } from '@node-rs/argon2'

export interface ArgonPlan {
  readonly threads: number
  readonly durationMs: number
  readonly memoryKb: number
  readonly timeCost: number
  readonly parallelism: number
}

export interface ArgonResult {
  readonly perSecond: number
  readonly cpuMsPerHash: number
}

const PASSWORD = 'correct horse battery staple'

if (isMainThread) {
  process.once('message', (message) => {
    void (async () => {
      const plan = message as ArgonPlan
      const cpuBefore = process.cpuUsage()
      const counts = await Promise.all(Array.from({ length: plan.threads }, () => inThread(plan)))
      const perSecond = counts.reduce((sum, count) => sum + count, 0)
      const { user, system } = process.cpuUsage(cpuBefore)
      const hashes = (perSecond * plan.durationMs) / 1_000
      const cpuMsPerHash = (user + system) / 1_000 / hashes
      process.send?.({ perSecond, cpuMsPerHash } satisfies ArgonResult, () => {
        process.exit(0)
      })
    })()
  })
} else {
  const { durationMs, memoryKb: memoryCost, timeCost, parallelism } = workerData as ArgonPlan
  const hash = hashSync(PASSWORD, { memoryCost, timeCost, parallelism, algorithm: 2 })
  const startedAt = performance.now()
  let count = 0
  while (performance.now() - startedAt < durationMs) {
    verifySync(hash, PASSWORD)
    count += 1
  }
  parentPort?.postMessage((count * 1_000) / (performance.now() - startedAt))
}

function inThread(plan: ArgonPlan): Promise<number> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(fileURLToPath(import.meta.url), { workerData: plan })
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}
