import { type DestinationStream, pino } from 'pino'
import { systemClock } from '../lib/clock.ts'
import { describe, type Severity } from './describe.ts'
import { jsonLine } from './json-line.ts'
import { LogOutput } from './log-output.ts'
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

/**
 * Subscribes a log to the observations.
 *
 * @param fd file descriptor to write to: 2 for a server, whose standard output stays free for JSON
 */
export function openLog(options: LogOptions, fd = 2, clock = systemClock): Log {
  const output = new LogOutput(fd, clock, (lost) => {
    observe({ kind: 'log.lines_lost', ...lost })
  })
  const observe = options.format === 'json' ? jsonLog(options.level, output) : textLog(options.level, output)
  return {
    observe,
    flush: () => {
      output.flush()
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
    if (RANK[severity] < RANK[level]) return
    const line = jsonLine(severity, msg, fields, Date.now())
    if (line === undefined) log[severity](fields, msg)
    else destination.write(line)
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
