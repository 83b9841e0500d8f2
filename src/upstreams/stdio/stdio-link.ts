import { Fault } from '../../lib/fault.ts'
import type { Observe } from '../../observe/observation.ts'
import { ChannelLink } from '../channel-link.ts'
import { logLines } from './log-lines.ts'
import { readOutput } from './read-output.ts'
import { redactor } from './redactor.ts'
import { type ProcessOptions, ServerProcess } from './server-process.ts'

/** What is shown of a line that is no message. */
const SHOWN_GARBAGE = 200

/** Garbage that goes to the log, of one process. */
const MOST_LOGGED_GARBAGE = 20

/** Time-outs in a row without a word, after which a process is taken for stopped or stuck, and ended. */
const MOST_SILENT_TIMEOUTS = 2

export interface StdioLinkOptions extends ProcessOptions {
  readonly messageBytes: number
  readonly observe: Observe
  /** Called once, when nothing more will come. */
  readonly onOver: (fault: Fault) => void
}

/** Starts a server's process and speaks JSON-RPC with it over its pipes, one message a line. */
export class StdioLink extends ChannelLink {
  readonly process: ServerProcess

  constructor(options: StdioLinkOptions) {
    const { server, clock, observe } = options
    const redact = redactor(options.environment)
    // What is wrong with the output is why the process is ended, and says more than how it ended.
    let reason: Fault | undefined
    const child = new ServerProcess(options, (fault) => {
      if (reason === undefined && output.unfinished())
        reason = new Fault(
          'upstream_unavailable',
          `${fault.message.slice(0, -1)}, in the middle of a message.`,
        )
      over(reason ?? fault)
    })
    let isOver = false
    const over = (fault: Fault): void => {
      if (isOver) return
      isOver = true
      options.onOver(fault)
      this.ended(fault)
    }
    super({
      send(text) {
        child.write(text)
      },
      close() {
        child.stop('kindly')
      },
      silent(timeouts) {
        if (timeouts < MOST_SILENT_TIMEOUTS || reason) return
        reason = new Fault(
          'upstream_unavailable',
          `MCP server "${server}" said nothing any more, and was ended.`,
        )
        child.kill()
        over(reason)
      },
    })
    this.process = child

    let logged = 0
    const output = readOutput(child.stdout, options.messageBytes, clock, {
      line: (text) => this.receive(text),
      garbage(text) {
        logged += 1
        if (logged > MOST_LOGGED_GARBAGE) return
        const line = redact(text.slice(0, SHOWN_GARBAGE), text.length > SHOWN_GARBAGE)
        observe({ kind: 'upstream.garbage', server, line })
      },
      broken: (what) => {
        reason = new Fault('upstream_invalid', `MCP server "${server}" sent ${what}, and was ended.`)
        child.kill()
        over(reason)
      },
    })
    logLines(child.stderr, server, { clock, observe, redact })
  }
}
