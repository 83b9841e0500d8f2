import { hasCode } from './system-code.ts'

/** Whether a process of this machine runs. The number of one that is gone may be another's by now. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // It runs, as somebody else.
    return hasCode(error, 'EPERM')
  }
}
