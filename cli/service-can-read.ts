import { stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { systemCode } from '../src/lib/system-code.ts'

/** What the unit hides from the service: ProtectHome and PrivateTmp. */
const HIDDEN = ['/home', '/root', '/run/user', '/tmp', '/var/tmp'] as const

const OTHERS_READ = 0o004
const OTHERS_ENTER = 0o001

/**
 * Why a service with a user of its own, who belongs to no group, cannot use a file; `undefined` when it can.
 *
 * @param path absolute, with symbolic links resolved
 */
export async function whyServiceCannotRead(
  path: string,
  kind: 'file' | 'program' | 'directory',
): Promise<string | undefined> {
  const hidden = HIDDEN.find((place) => path === place || path.startsWith(`${place}/`))
  if (hidden !== undefined) return `it is below ${hidden}, which the service does not see`
  try {
    const { mode } = await stat(path)
    const needed = OTHERS_READ | (kind === 'file' ? 0 : OTHERS_ENTER)
    if ((mode & needed) !== needed) return `other users may not ${kind === 'program' ? 'run' : 'read'} it`
    for (let above = dirname(path); ; above = dirname(above)) {
      if (((await stat(above)).mode & OTHERS_ENTER) === 0) return `other users may not enter ${above}`
      if (above === dirname(above)) return undefined
    }
  } catch (error) {
    const code = systemCode(error) ?? 'unknown error'
    return code === 'ENOENT' ? 'it is not there' : `it cannot be looked at (${code})`
  }
}
