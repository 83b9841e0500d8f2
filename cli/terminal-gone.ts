import { closeSync, openSync } from 'node:fs'

/**
 * Whether the terminal that this process was started in has been closed. A process without one (a service, `setsid`) is
 * told the same, so ask only where there was one.
 */
export function terminalIsGone(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return false
  } catch {
    return true
  }
}
