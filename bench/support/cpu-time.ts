import { readdirSync, readFileSync } from 'node:fs'

/** Linux counts processor time in these units, whatever the machine (`USER_HZ`). */
const TICKS_PER_SECOND = 100

/** Seconds of processor time that a process and everything it started have used so far. */
export function cpuSeconds(pid: number): number {
  const processes = new Map<number, { readonly parent: number; readonly ticks: number }>()
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'latin1')
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const ticks = Number(fields[11]) + Number(fields[12])
      processes.set(Number(entry), { parent: Number(fields[1]), ticks })
    } catch {
      // It ended in between.
    }
  }
  const belongs = (one: number): boolean => {
    if (one === pid) return true
    const parent = processes.get(one)?.parent
    return parent !== undefined && parent > 1 && belongs(parent)
  }
  let ticks = 0
  for (const [one, of] of processes) if (belongs(one)) ticks += of.ticks
  return ticks / TICKS_PER_SECOND
}
