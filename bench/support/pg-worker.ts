/** Runs one statement over and over on each of several plain `pg` connections and reports how long it took. */
import { Client, type QueryConfig } from 'pg'
import type { LoadResult } from './load.ts'

interface Plan {
  readonly url: string
  readonly sql: string
  readonly connections: number
  readonly warmupMs: number
  readonly durationMs: number
}

process.once('message', (message) => {
  void run(message as Plan)
})

async function run(plan: Plan): Promise<void> {
  const latencies: number[] = []
  const startedAt = performance.now()
  const from = startedAt + plan.warmupMs
  const until = from + plan.durationMs
  const one = async (): Promise<void> => {
    const client = new Client({ connectionString: plan.url })
    await client.connect()
    for (let now = performance.now(); now < until;) {
      await client.query({ text: plan.sql, values: [], queryMode: 'extended' } as QueryConfig)
      const then = now
      now = performance.now()
      if (then >= from) latencies.push(now - then)
    }
    await client.end()
  }
  await Promise.all(Array.from({ length: plan.connections }, one))
  latencies.sort((a, b) => a - b)
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN
  const result: LoadResult = {
    perSecond: latencies.length / (plan.durationMs / 1_000),
    p50: at(0.5),
    p99: at(0.99),
    max: at(1),
    answers: latencies.length,
    allAnswers: latencies.length,
    errors: 0,
  }
  process.send?.(result, () => {
    process.exit(0)
  })
}
