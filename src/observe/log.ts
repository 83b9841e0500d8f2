import { type DestinationStream, pino } from 'pino'
import { describe, type Severity } from './describe.ts'
import type { Observe } from './observation.ts'

export interface LogOptions {
  readonly level: Severity
  /** `json`: one object a line, for collectors. `text`: for a person at a terminal. */
  readonly format: 'json' | 'text'
}

export interface Log {
  readonly observe: Observe
  /** Writes out what is buffered; call it before the process ends. */
  flush(): void
}

/** The buffer is written when it holds this much, or after `FLUSH_MS`. */
const BUFFER_BYTES = 8_192
const FLUSH_MS = 100

/**
 * Subscribes a log to the observations.
 *
 * @param fd file descriptor to write to: 2 for a server, whose standard output stays free for JSON
 */
export function openLog(options: LogOptions, fd = 2): Log {
  const destination = pino.destination({ fd, sync: false, minLength: BUFFER_BYTES, periodicFlush: FLUSH_MS })
  const observe =
    options.format === 'json' ? jsonLog(options.level, destination) : textLog(options.level, destination)
  return {
    observe,
    flush: () => {
      try {
        destination.flushSync()
      } catch {
        // The stream never opened or is gone (a closed pipe): there is nobody left to tell.
      }
    },
  }
}

export function jsonLog(level: Severity, destination: DestinationStream): Observe {
  const log = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label.toUpperCase() }) },
    },
    destination,
  )
  return (observation) => {
    const { severity, msg, fields } = describe(observation)
    log[severity](fields, msg)
  }
}

const RANK: Readonly<Record<Severity, number>> = { debug: 0, info: 1, warn: 2, error: 3 }

export function textLog(level: Severity, destination: DestinationStream, now = () => new Date()): Observe {
  return (observation) => {
    const { severity, msg, fields } = describe(observation)
    if (RANK[severity] < RANK[level]) return
    const facts = Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name}=${readable(value)}`)
      .join(' ')
    const time = now().toISOString().slice(11, 19)
    destination.write(`${time}  ${severity.padEnd(5)}  ${msg}${facts === '' ? '' : `  ${facts}`}\n`)
  }
}

/** Control characters are shown as escapes: text of a caller must not move the cursor of a terminal. */
function readable(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return /^[\w./:@%+-]+$/.test(text) ? text : JSON.stringify(text)
}
