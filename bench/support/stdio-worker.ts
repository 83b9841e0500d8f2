/** Calls the static server over stdio with the official client library, several calls at a time. */
import { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { fileURLToPath } from 'node:url'
import type { LoadResult } from './load.ts'

export interface StdioPlan {
  readonly atOnce: number
  readonly warmupMs: number
  readonly durationMs: number
}

process.once('message', (message) => {
  void run(message as StdioPlan)
})

async function run(plan: StdioPlan): Promise<void> {
  const client = new Client({ name: 'bench', version: '1.0.0' })
  const server = fileURLToPath(new URL('static-stdio.ts', import.meta.url))
  await client.connect(new StdioClientTransport({ command: process.execPath, args: [server] }))
  const latencies: number[] = []
  let allAnswers = 0
  const from = performance.now() + plan.warmupMs
  const until = from + plan.durationMs
  const one = async (): Promise<void> => {
    for (let now = performance.now(); now < until;) {
      await client.callTool({ name: 'lookup', arguments: { part: 4711 } })
      allAnswers += 1
      const then = now
      now = performance.now()
      if (then >= from) latencies.push(now - then)
    }
  }
  await Promise.all(Array.from({ length: plan.atOnce }, one))
  await client.close()
  latencies.sort((a, b) => a - b)
  const at = (share: number): number =>
    latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN
  const result: LoadResult = {
    perSecond: latencies.length / (plan.durationMs / 1_000),
    p50: at(0.5),
    p99: at(0.99),
    max: at(1),
    answers: latencies.length,
    allAnswers,
    errors: 0,
  }
  process.send?.(result, () => {
    process.exit(0)
  })
}
