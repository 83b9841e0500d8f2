import { readFile, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { Fault } from '../../lib/fault.ts'

/** The operating system user that the server runs as. */
export interface RunAs {
  readonly uid: number
  readonly gid: number
}

/** In order of preference. Both exist on practically every system, so no user has to be created. */
const CANDIDATES = ['postgres', 'nobody'] as const

/**
 * PostgreSQL refuses to run as root. `null` when this process is not root and can run it itself.
 *
 * @param keep the owner of an existing data directory, who stays its owner
 */
export async function chooseRunAs(keep: RunAs | null): Promise<RunAs | null> {
  if (process.getuid?.() !== 0) return null
  if (keep !== null && keep.uid !== 0) return keep
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '')
  for (const candidate of CANDIDATES) {
    for (const line of passwd.split('\n')) {
      const [name, , uid, gid] = line.split(':')
      if (name === candidate && Number(uid) > 0) return { uid: Number(uid), gid: Number(gid) }
    }
  }
  throw new Fault(
    'database_unavailable',
    'the embedded PostgreSQL cannot run as root, and this system has neither a user "postgres" nor "nobody": start Postern as another user',
  )
}

/** Whether that user may enter a directory and everything above it, as far as the mode bits tell. */
export async function canReach(directory: string, user: RunAs): Promise<boolean> {
  for (let at = resolve(directory); ; at = dirname(at)) {
    const { mode, uid, gid } = await stat(at)
    const bit = uid === user.uid ? 0o100 : gid === user.gid ? 0o010 : 0o001
    if ((mode & bit) === 0) return false
    if (dirname(at) === at) return true
  }
}
