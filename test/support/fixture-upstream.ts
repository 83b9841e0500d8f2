import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { FixtureOptions } from '../conformance/fixture/fixture.ts'

const MAIN = fileURLToPath(new URL('../conformance/fixture/main.ts', import.meta.url))

/** How to start the fixture as a program. */
export const fixtureCommand = (
  options: FixtureOptions,
): { readonly command: string; readonly args: readonly string[] } => ({
  command: process.execPath,
  args: [
    MAIN,
    '--transport',
    options.transport,
    '--revision',
    options.revision,
    ...(options.pageSize === undefined ? [] : ['--page-size', String(options.pageSize)]),
  ],
})

export interface FixtureProcess {
  readonly url: string
  readonly child: ChildProcess
  stop(): Promise<void>
}

/** Starts the fixture on HTTP as a process of its own, which can be stopped and killed. */
export async function fixtureProcess(options: FixtureOptions): Promise<FixtureProcess> {
  const { command, args } = fixtureCommand(options)
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [url] = (await once(createInterface(child.stdout), 'line')) as [string]
  return {
    url,
    child,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}
