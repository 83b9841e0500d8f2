import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import type { Readable } from 'node:stream'
import type { Clock } from '../../lib/clock.ts'
import { Fault } from '../../lib/fault.ts'

/** 2025-11-25 lifecycle, "Shutdown": close the input, then SIGTERM, then SIGKILL. */
const TERM_AFTER_MS = 1_000
const KILL_AFTER_MS = 3_000

/** For a process whose credential ended: it has no time to finish anything. */
const KILL_AT_ONCE_AFTER_MS = 50

/** What is left in the output of a process that has ended is read for this long. */
const DRAIN_MS = 500

/** Bytes that wait for a process which does not read. A larger message goes alone. */
const MOST_WAITING_BYTES = 4 * 1_048_576

export interface ProcessOptions {
  readonly server: string
  readonly command: string
  readonly args: readonly string[]
  readonly environment: Record<string, string>
  readonly cwd: string | null
  readonly clock: Clock
}

/**
 * The process of one server, the leader of a process group of its own: what it starts itself ends with it,
 * unless it left the group on purpose.
 */
export class ServerProcess {
  readonly startedAt: number
  readonly #child: ChildProcessWithoutNullStreams
  readonly #server: string
  readonly #clock: Clock
  readonly #onEnd: (fault: Fault) => void
  readonly #cancels: (() => void)[] = []
  #corked = false
  #stopping = false
  #over = false
  #exited: string | undefined
  /** Settles when the process is gone and its output closed. */
  readonly ended: Promise<void>
  #settleEnded: () => void = () => undefined

  /** @param onEnd called once, when the process has ended or could not be started, and everything was read */
  constructor(options: ProcessOptions, onEnd: (fault: Fault) => void) {
    this.#server = options.server
    this.#clock = options.clock
    this.#onEnd = onEnd
    this.startedAt = options.clock.now()
    this.ended = new Promise((resolve) => {
      this.#settleEnded = resolve
    })
    this.#child = spawn(options.command, [...options.args], {
      env: options.environment,
      ...(options.cwd === null ? {} : { cwd: options.cwd }),
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      windowsHide: true,
    })
    const child = this.#child
    child.on('error', (error) => {
      // Also told of a signal that could not be sent; only a process that never was has no id.
      if (child.pid === undefined)
        this.#finish(`could not be started (${codeOf(error)}): check its command and working directory`)
    })
    child.on('exit', (code, signal) => {
      this.#exited = signal === null ? `exit code ${code}` : `signal ${signal}`
      this.#signal('SIGKILL')
      // A grandchild that left the group can hold the pipe open for ever.
      this.#after(DRAIN_MS, () => {
        this.#finishExited()
      })
    })
    child.on('close', () => {
      this.#finishExited()
    })
    // A process that does not read its input any more is about to end, or will be timed out.
    child.stdin.on('error', () => undefined)
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  get stdout(): Readable {
    return this.#child.stdout
  }

  get stderr(): Readable {
    return this.#child.stderr
  }

  /** @throws Fault `upstream_busy` */
  write(line: string): void {
    const { stdin } = this.#child
    if (!stdin.writable) return
    if (stdin.writableLength > 0 && stdin.writableLength + line.length > MOST_WAITING_BYTES)
      throw new Fault('upstream_busy', `MCP server "${this.#server}" does not take what is sent to it.`, {
        retryAfterS: 1,
      })
    if (!this.#corked) {
      // What is written in one turn goes in one write: system calls cost more than the messages.
      this.#corked = true
      stdin.cork()
      process.nextTick(() => {
        this.#corked = false
        stdin.uncork()
      })
    }
    stdin.write(`${line}\n`)
  }

  /** Ends the process: kindly, or at once, as for a credential that was revoked. May be called again, harder. */
  stop(how: 'kindly' | 'at once'): void {
    if (this.#over) return
    if (this.#stopping && how === 'kindly') return
    this.#stopping = true
    if (how === 'kindly') {
      this.#child.stdin.end()
      this.#after(TERM_AFTER_MS, () => {
        this.#signal('SIGTERM')
      })
      this.#after(KILL_AFTER_MS, () => {
        this.#signal('SIGKILL')
      })
      return
    }
    this.#child.stdin.destroy()
    this.#signal('SIGTERM')
    this.#after(KILL_AT_ONCE_AFTER_MS, () => {
      this.#signal('SIGKILL')
    })
  }

  /** SIGKILL now: for a process that is stopped or floods. */
  kill(): void {
    this.#stopping = true
    this.#signal('SIGKILL')
  }

  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.#child
    if (pid === undefined || this.#over) return
    try {
      process.kill(-pid, signal)
    } catch {
      // The group has no members left.
    }
  }

  #after(ms: number, task: () => void): void {
    this.#cancels.push(this.#clock.after(ms, task))
  }

  #finishExited(): void {
    if (this.#exited !== undefined) this.#finish(`ended unexpectedly (${this.#exited})`)
  }

  #finish(what: string): void {
    if (this.#over) return
    this.#over = true
    for (const cancel of this.#cancels) cancel()
    this.#child.stdin.destroy()
    this.#child.stdout.destroy()
    this.#child.stderr.destroy()
    this.#onEnd(new Fault('upstream_unavailable', `MCP server "${this.#server}" ${what}.`))
    this.#settleEnded()
  }
}

const codeOf = (error: Error): string => ('code' in error ? String(error.code) : error.name)
