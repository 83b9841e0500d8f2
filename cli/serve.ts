import type { Gateway } from '../src/gateway.ts'
import type { Settings } from '../src/config/settings.ts'
import { systemCode } from '../src/lib/system-code.ts'
import type { Observe } from '../src/observe/observation.ts'
import type { Command, ExitCode, Given, Invocation } from './command.ts'
import type * as RunningFile from './running.ts'
import { terminalIsGone } from './terminal-gone.ts'

export const command: Command = {
  name: 'serve',
  summary: 'run the gateway',
  description:
    'The first start with no credential of any kind issues one admin token and shows it this once. SIGTERM ' +
    'and Ctrl-C finish open requests and stop, a second Ctrl-C stops at once. A changed configuration file is taken over as it ' +
    'changes, and with SIGHUP. Closing its terminal stops it.',
  options: [
    {
      name: 'addr',
      value: 'ADDRESS',
      summary: 'where to listen; a bare :8080 means every interface',
      standard: '127.0.0.1:8080',
    },
    { name: 'demo', summary: 'add an embedded PostgreSQL with sample data' },
    { name: 'no-auth', summary: 'ask nobody for a token, read-only; on loopback addresses only' },
    { name: 'tls', summary: 'serve HTTPS, with --cert and --key' },
    { name: 'cert', value: 'FILE', summary: 'the certificate chain (PEM)' },
    { name: 'key', value: 'FILE', summary: 'the private key of the certificate (PEM)' },
    {
      name: 'token-file',
      value: 'FILE',
      summary: 'a token file to watch',
      standard: 'auth.tokenFile of the configuration',
    },
  ],
  examples: [
    ['postern serve --demo', 'a gateway with sample data, to try it'],
    ['postern serve --config postern.yaml', 'the gateway that a configuration file describes'],
  ],
  run,
}

async function run(invocation: Invocation, given: Given): Promise<ExitCode> {
  const stop = stopSignals(invocation)
  try {
    const { readSettings } = await import('./read-settings.ts')
    const read = await readSettings(invocation, given)
    if (!read.ok) return read.error
    const { settings, warnings, file, dialect } = read.value

    const { openLog } = await import('../src/observe/log.ts')
    const log = openLog(settings.log)
    // After a defect nothing else runs, and the last lines are the ones that matter.
    const forgetExit = invocation.onSignal('exit', () => {
      log.flush()
    })
    try {
      log.observe({ kind: 'config.loaded', file, dialect })
      for (const message of warnings) log.observe({ kind: 'config.warning', message })

      const { startGateway } = await import('../src/gateway.ts')
      const demo = given.flag('demo')
      const { clock, env: environment } = invocation
      const gateway = await Promise.race([
        startGateway({ settings, demo, environment, clock, observe: log.observe }),
        stop.second,
      ])
      if (gateway === 'again') return 1
      const { followConfiguration } = await import('./follow-configuration.ts')
      const record = recordRunning(invocation, settings, gateway.url, log.observe)
      const unfollow = followConfiguration(invocation, given, read.value, gateway, log.observe, record.taken)
      await announce(invocation, gateway, settings, demo)
      const signal = await stop.first
      unfollow()
      await record.end()
      log.observe({ kind: 'server.stopping', signal })
      const ended = await Promise.race([gateway.close().then(() => 'closed' as const), stop.second])
      if (ended === 'closed') log.observe({ kind: 'server.stopped' })
      return ended === 'closed' ? 0 : 1
    } finally {
      forgetExit()
      log.flush()
    }
  } finally {
    stop.forget()
  }
}

/** Keeps written down what is in force, for `config check`. Nothing else depends on it. */
function recordRunning(
  { clock }: Invocation,
  settings: Settings,
  url: string,
  observe: Observe,
): { readonly taken: (inForce: Settings) => void; readonly end: () => Promise<void> } {
  const since = clock.now()
  const { dataDir } = settings
  let turn = Promise.resolve()
  const next = (act: (running: typeof RunningFile) => Promise<void>): void => {
    turn = turn
      .then(async () => act(await import('./running.ts')))
      .catch((error: unknown) => {
        const code = systemCode(error) ?? 'unknown error'
        const message = `What is in force cannot be written into ${dataDir} (${code}): config check will not compare with it`
        observe({ kind: 'config.warning', message })
      })
  }
  const taken = (inForce: Settings): void => {
    next(({ writeRunning }) => writeRunning(dataDir, { since, url }, inForce))
  }
  taken(settings)
  return {
    taken,
    end: () => {
      next(({ removeRunning }) => removeRunning(dataDir))
      return turn
    },
  }
}

/**
 * One Ctrl-C can arrive twice: from the terminal, and forwarded by a launcher (npm, bin/postern). What
 * comes this soon after the first is the same one.
 */
const SAME_INTERRUPT_MS = 300

type StopSignal = 'SIGINT' | 'SIGTERM' | 'SIGHUP'

interface StopSignals {
  readonly first: Promise<StopSignal>
  /** The person does not want to wait. */
  readonly second: Promise<'again'>
  forget(): void
}

function stopSignals({ onSignal, clock, stdin }: Invocation): StopSignals {
  const first = Promise.withResolvers<StopSignal>()
  const second = Promise.withResolvers<'again'>()
  let firstAt: number | undefined
  const heard = (signal: StopSignal) => (): void => {
    const now = clock.now()
    if (firstAt === undefined) {
      firstAt = now
      first.resolve(signal)
    } else if (signal === 'SIGINT' && now - firstAt >= SAME_INTERRUPT_MS) {
      second.resolve('again')
    }
  }
  // Somebody sends SIGHUP to have the configuration read, and the system when a window is closed: nobody sees or stops
  // what goes on running then. `nohup` puts something else in the place of the terminal.
  const inTerminal = stdin.isTTY === true
  const hungUp = heard('SIGHUP')
  const forget = [
    onSignal('SIGINT', heard('SIGINT')),
    onSignal('SIGTERM', heard('SIGTERM')),
    onSignal('SIGHUP', () => {
      if (inTerminal && terminalIsGone()) hungUp()
    }),
  ]
  return {
    first: first.promise,
    second: second.promise,
    forget: () => {
      for (const one of forget) one()
    },
  }
}

async function announce(
  invocation: Invocation,
  gateway: Gateway,
  settings: Settings,
  demo: boolean,
): Promise<void> {
  const { readyDocument, readyText } = await import('./ready-shown.ts')
  const facts = {
    url: gateway.url,
    token: gateway.bootstrapToken,
    dataDir: settings.dataDir,
    authentication: settings.auth.enabled,
    hasDatabase: demo || settings.databases.length > 0,
    servers: settings.mcpServers.map(({ name }) => name),
  }
  invocation.answer(readyDocument(facts), readyText(facts, invocation.style))
}
