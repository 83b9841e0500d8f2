import { readdir } from 'node:fs/promises'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { type Readings, single } from './sources.ts'

/** How closely the delay of the event loop is watched: each look is a wake-up. Milliseconds. */
const RESOLUTION_MS = 20

export interface ProcessWatch {
  read(): Promise<Readings>
  close(): void
}

/**
 * What the process itself uses. Names and units are those that dashboards for Node know.
 *
 * Not `collectDefaultMetrics` of prom-client, which watches garbage collection and the event loop in a way that nothing
 * can end: a gateway that is closed leaves nothing behind.
 */
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
        cpu: single((user + system) / 1e6),
        startTime: single(performance.timeOrigin / 1_000),
        memory: single(rss),
        heapUsed: single(heapUsed),
        heapTotal: single(heapTotal),
        external: single(external),
        // What it counts is the time between two looks.
        loopDelay: single(Math.max(0, p99 - RESOLUTION_MS / 1_000)),
        files: single(files),
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
