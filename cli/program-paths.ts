import { existsSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { whyServiceCannotRead } from './service-can-read.ts'

export interface ProgramPaths {
  /** Absolute, as they are to be started: a link that an upgrade moves on stays one. */
  readonly node: string
  readonly postern: string
}

/** The command that this process runs, from the sources as from the built package. */
export function posternPath(): string {
  const here = dirname(fileURLToPath(import.meta.url))
  const places = [join(here, '..', 'bin', 'postern'), join(here, '..', '..', 'bin', 'postern')]
  const found = places.find((file) => existsSync(file))
  if (found === undefined) throw new Error('bin/postern is not where it belongs')
  return found
}

/** Why a service cannot start these, one sentence each; empty when it can. */
export async function whyServiceCannotStart({ node, postern }: ProgramPaths): Promise<readonly string[]> {
  const root = dirname(dirname(postern))
  const sources = existsSync(join(root, 'src', 'main.ts')) ? join(root, 'src') : join(root, 'dist')
  const library = createRequire(import.meta.url).resolve('better-sqlite3')
  const parts = [
    ['Node.js', node, 'program'],
    ['Postern', postern, 'file'],
    ['Postern', sources, 'directory'],
    ['Postern', library, 'file'],
  ] as const
  const problems = await Promise.all(
    parts.map(async ([what, path, kind]) => {
      const real = await realpath(path).catch(() => path)
      const why = await whyServiceCannotRead(real, kind)
      return why === undefined ? [] : [`${what} at ${real}: ${why}`]
    }),
  )
  return [...new Set(problems.flat())]
}
