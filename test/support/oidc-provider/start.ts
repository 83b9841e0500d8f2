import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

export const CLIENT_SECRET = 'a-secret-of-the-registration'

export interface ProviderAccount {
  readonly sub: string
  readonly claims: Readonly<Record<string, unknown>>
}

export interface RunningProvider {
  readonly issuer: string
  /** Adds accounts by what their owners type as the login, or changes them. */
  setAccounts(accounts: Readonly<Record<string, ProviderAccount>>): Promise<void>
  close(): Promise<void>
}

/** Starts a real provider in a process of its own. */
export async function startProvider(): Promise<RunningProvider> {
  const main = fileURLToPath(new URL('main.ts', import.meta.url))
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', main], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // Its warnings are for those who run it for others.
    env: { PATH: process.env['PATH'] ?? '', NODE_ENV: 'test' },
  })
  let errors = ''
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const ended = new Promise<void>((resolve) => {
    child.once('close', () => resolve())
  })
  const issuer = await new Promise<string>((resolve, reject) => {
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      const line = text.split('\n').find((one) => one.startsWith('{"issuer"'))
      if (line !== undefined && text.includes('\n')) resolve((JSON.parse(line) as { issuer: string }).issuer)
    })
    void ended.then(() => reject(new Error(`the provider ended: ${errors}`)))
  })
  return {
    issuer,
    async setAccounts(accounts) {
      const { status } = await fetch(`${issuer}/test/accounts`, {
        method: 'POST',
        body: JSON.stringify(accounts),
      })
      if (status !== 204) throw new Error(`the provider answered ${status}: ${errors}`)
    },
    async close() {
      child.stdin.end()
      await ended
    },
  }
}
