import { readdir } from 'node:fs/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { MetricKey } from './catalogue.ts'

/** How closely the delay of the event loop is watched: each look is a wake-up. Milliseconds. */
const RESOLUTION_MS = 20

export interface ProcessWatch {
  read(): Promise<Partial<Record<MetricKey, number>>>
  close(): void
}

/** What the process itself uses. Names and units are those that dashboards for Node know. */
export function watchProcess(): ProcessWatch {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delay.enable()
  return {
    async read() {
      const { rss, heapUsed, heapTotal, external } = process.memoryUsage()
      const { user, system } = process.cpuUsage()
      const p99 = delay.count === 0 ? 0 : delay.percentile(99) / 1e9
      delay.reset()
      const files = await openFiles()
      return {
        cpu: (user + system) / 1e6,
        startTime: performance.timeOrigin / 1_000,
        memory: rss,
        heapUsed,
        heapTotal,
        external,
        // What it counts is the time between two looks.
        loopDelay: Math.max(0, p99 - RESOLUTION_MS / 1_000),
        ...(files === undefined ? {} : { files }),
      }
    },
    close() {
      delay.disable()
    },
  }
}

async function openFiles(): Promise<number | undefined> {
  try {
    // Less the one that the reading itself opens.
    return (await readdir('/proc/self/fd')).length - 1
  } catch {
    return undefined
  }
}
