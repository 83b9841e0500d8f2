import { existsSync } from 'node:fs'
import { open, type FileHandle } from 'node:fs/promises'
import { Fault } from '../../lib/fault.ts'
import type { Binaries } from './binaries.ts'
import { canReach, type RunAs } from './run-as.ts'

/** The number of that descriptor in every program started here: `stdio[4]`. */
const DOOR_FD = 4

/** Where one server lives and as whom it runs. */
export interface Place {
  readonly dir: string
  readonly data: string
  readonly door: Door
  readonly runAs: RunAs | null
  readonly binaries: Binaries
}

/** How the server's user gets into the directory. */
export interface Door {
  readonly path: string
  readonly handle: FileHandle | null
}

/**
 * A directory below `/root` or a private temporary directory cannot be reached by path as another user. It
 * can through a descriptor that root opened and the server inherits.
 */
export async function openDoor(dir: string, runAs: RunAs | null): Promise<Door> {
  if (runAs === null || (await canReach(dir, runAs))) return { path: dir, handle: null }
  if (!existsSync('/proc/self/fd')) {
    throw new Fault(
      'data_dir_unusable',
      `the embedded PostgreSQL cannot run as root, and the user it runs as cannot enter ${dir}: choose another data directory`,
    )
  }
  return { path: `/proc/self/fd/${DOOR_FD}`, handle: await open(dir, 'r') }
}

/** The whole environment of the programs: PG* variables of the caller's shell must not steer them. */
export const ENVIRONMENT = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }
