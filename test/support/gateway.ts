import { readFileSync } from 'node:fs'
import { ask, type Finished, type Invocation, postern, type Serving, serve, workFolder } from './postern.ts'

/** One line of the log. */
export type LogLine = { readonly level: string; readonly msg: string } & Readonly<Record<string, unknown>>

export interface IssuedToken {
  readonly id: string
  readonly token: string
  readonly hash_prefix: string
}

/** A gateway in a process of its own, in a folder of its own. */
export interface RunningGateway {
  readonly dir: string
  readonly url: string
  readonly port: number
  /** The admin token of the first start, or the configured one. */
  readonly admin: string
  readonly serving: Serving
  /** Issues a token over the admin API. */
  issue(token: Readonly<Record<string, unknown>>): Promise<IssuedToken>
  log(): readonly LogLine[]
  /** Runs a command beside it. */
  postern(args: readonly string[]): Promise<Finished>
  /** Stops it and removes the folder. */
  close(): Promise<void>
}

export interface GatewaySetup extends Pick<Invocation, 'env' | 'through'> {
  /** Parts of `postern.yaml` beside the address. */
  readonly configuration?: Readonly<Record<string, unknown>>
  readonly args?: readonly string[]
  /** The token to administer with, where the configuration has one and the first start makes none. */
  readonly admin?: string
}

/** Starts the real executable for the first time in a new folder. */
export async function startGateway(setup: GatewaySetup = {}): Promise<RunningGateway> {
  const { configuration = {}, args = [], admin, ...how } = setup
  const folder = await workFolder({ 'postern.yaml': configurationText(configuration) })
  try {
    const serving = await serve(['serve', ...args], { cwd: folder.dir, ...how })
    return describeGateway(folder, serving, serving.token ?? admin ?? '')
  } catch (error) {
    await folder.remove()
    throw error
  }
}

function describeGateway(
  { dir, remove }: Awaited<ReturnType<typeof workFolder>>,
  serving: Serving,
  admin: string,
): RunningGateway {
  const { url } = serving
  return {
    dir,
    url,
    port: Number(new URL(url).port),
    admin,
    serving,
    async issue(token) {
      const { status, body } = await ask(`${url}/api/v1/admin/tokens`, admin, { json: token })
      if (status !== 201) throw new Error(`no token (${status}): ${JSON.stringify(body)}`)
      return body as IssuedToken
    },
    log: () => logLines(serving.stderr()),
    postern: (args) => postern(args, { cwd: dir }),
    async close() {
      await serving.stop()
      await remove()
    },
  }
}

/** A `postern.yaml` (JSON is YAML) that listens on a free port. */
export const configurationText = (parts: Readonly<Record<string, unknown>>): string =>
  `${JSON.stringify({ server: { addr: '127.0.0.1:0' }, ...parts }, null, 2)}\n`

/** The whole lines of a log; the last one may still be on its way. */
export const logLines = (text: string): readonly LogLine[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as LogLine)

/**
 * Kills a gateway as a power failure would: SIGKILL to the process that serves, which is a child where
 * `bin/postern` had to start the pinned Node.
 */
export async function killHard(serving: Pick<Serving, 'pid' | 'ended'>): Promise<void> {
  for (const one of new Set([servingPid(serving), serving.pid])) {
    try {
      process.kill(one, 'SIGKILL')
    } catch {
      // It went with the other one.
    }
  }
  await serving.ended
}

/** The process that serves: the one started, or its only child where that one is a launcher. */
export const servingPid = ({ pid }: Pick<Serving, 'pid'>): number =>
  childrenOf(pid).find((child) => commandOf(child).includes('bin/postern')) ?? pid

const childrenOf = (pid: number): number[] => {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .trim()
      .split(/\s+/)
      .filter(Boolean)
      .map(Number)
  } catch {
    return []
  }
}

const commandOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}
