import { chmod, cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  type Answer,
  type Finished,
  postern,
  rpc,
  type Serving,
  serve,
  workFolder,
} from '../../support/postern.ts'

const SHAPES = fileURLToPath(new URL('shapes/', import.meta.url))

export const shapeText = (name: string): Promise<string> => readFile(join(SHAPES, name), 'utf8')

/** A folder with copies of the published configurations, and the commands that are run in it. */
export interface Room {
  readonly dir: string
  path(name: string): string
  /** Writes a file whole, for its owner only. */
  write(name: string, text: string): Promise<void>
  run(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Finished>
  /** Starts a gateway; it ends with the room. */
  serve(args: readonly string[], env?: Readonly<Record<string, string>>): Promise<Serving>
  close(): Promise<void>
}

export async function openRoom(...shapes: readonly string[]): Promise<Room> {
  const { dir, remove } = await workFolder()
  const path = (name: string): string => join(dir, name)
  for (const shape of shapes) {
    await cp(join(SHAPES, shape), path(shape))
    await chmod(path(shape), 0o600)
  }
  const started: Serving[] = []
  return {
    dir,
    path,
    write: (name, text) => writeFile(path(name), text, { mode: 0o600 }),
    run: (args, env = {}) => postern(args, { cwd: dir, env }),
    async serve(args, env = {}) {
      const serving = await serve(args, { cwd: dir, env })
      started.push(serving)
      return serving
    },
    async close() {
      await Promise.all(started.map((serving) => serving.stop()))
      await remove()
    },
  }
}

export type LogLine = Readonly<Record<string, unknown>>

export const logOf = (serving: Pick<Serving, 'stderr'>): readonly LogLine[] =>
  serving
    .stderr()
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as LogLine)

/** What is asked of a gateway to see whether a token is let in: it starts none of its servers. */
export const knock = async (url: string, token: string | null): Promise<Answer> =>
  await rpc(url, token, 'initialize', {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'acceptance', version: '1' },
  })
