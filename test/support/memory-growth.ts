import { residentBytes } from './children.ts'

/** How much more memory, in bytes, a process had at its largest while this ran. */
export async function memoryGrowth<T>(
  pid: number,
  run: () => Promise<T>,
): Promise<{ readonly value: T; readonly growth: number }> {
  const before = residentBytes(pid)
  let most = before
  const timer = setInterval(() => (most = Math.max(most, residentBytes(pid))), 10)
  try {
    const value = await run()
    return { value, growth: most - before }
  } finally {
    clearInterval(timer)
  }
}
