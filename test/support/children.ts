import { readdirSync, readFileSync } from 'node:fs'

/** The processes that this one started, and those that they started. */
export function descendants(pid: number): readonly number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const parent = /\) \w (\d+)/.exec(statOf(Number(name)))?.[1]
    if (parent !== undefined) parents.set(Number(name), Number(parent))
  }
  const found: number[] = []
  const from = [pid]
  for (let one = from.pop(); one !== undefined; one = from.pop())
    for (const [child, parent] of parents)
      if (parent === one) {
        found.push(child)
        from.push(child)
      }
  return found
}

/** Resident memory in bytes; 0 once the process is gone. */
export function residentBytes(pid: number): number {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return Number(kilobytes ?? 0) * 1_024
  } catch {
    return 0
  }
}

const statOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return ''
  }
}
