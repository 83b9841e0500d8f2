import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, start, type Started } from './peers.ts'

/** The token that a Postern of the benches knows as `bench`. */
export const TOKEN = 'bench-token-0123456789abcdef0123456789abcdef'

export const AUTHORIZATION = { authorization: `Bearer ${TOKEN}` } as const

/** Another client, known as `other`. */
export const OTHER_AUTHORIZATION = { authorization: `Bearer other-${TOKEN}` } as const

/**
 * Starts Postern with everything on, as `npm start` does but for the sample database.
 *
 * @param lines of YAML beyond address and token
 * @param core the processor core it keeps to; absent: any
 */
export async function startPostern(
  scratch: string,
  lines: readonly string[],
  core?: number,
): Promise<Started> {
  const port = await freePort()
  const cwd = join(scratch, `postern-${port}`)
  await mkdir(cwd, { recursive: true })
  const tokens = ['auth:', '  tokens:', `    bench: ${TOKEN}`, `    other: other-${TOKEN}`]
  const head = ['server:', `  addr: 127.0.0.1:${port}`, ...tokens]
  await writeFile(join(cwd, 'postern.yaml'), `${[...head, ...lines].join('\n')}\n`, { mode: 0o600 })
  const postern = fileURLToPath(new URL('../../bin/postern', import.meta.url))
  const node = [process.execPath, postern, 'serve']
  const [command, ...args] = core === undefined ? node : ['taskset', '-c', String(core), ...node]
  return await start(command as string, args, port, { cwd })
}
