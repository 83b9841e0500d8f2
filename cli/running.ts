import { randomBytes, randomUUID } from 'node:crypto'
import { open, readFile, rename, rm, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { type Change, difference } from '../src/config/difference.ts'
import { type Fingerprinted, fingerprinted } from '../src/config/fingerprint.ts'
import type { Settings } from '../src/config/settings.ts'
import { isAlive } from '../src/lib/is-alive.ts'

/**
 * What a running gateway says of itself in its data directory, so that `config check` can tell what a changed file
 * would change. No secret is in it: only what is needed to notice that one changed.
 */
interface RunningDocument {
  readonly format: 1
  /** A data directory may be shared between machines or containers; a process belongs to one. */
  readonly host: string
  readonly pid: number
  /** ISO 8601. */
  readonly since: string
  readonly url: string
  readonly salt: string
  readonly settings: Fingerprinted
}

export interface Running {
  readonly pid: number
  /** ISO 8601. */
  readonly since: string
  readonly url: string
  /** From what runs to the settings that were given. */
  readonly changes: readonly Change[]
}

const fileOf = (dataDir: string): string => join(dataDir, 'running.json')

/** Larger than a configuration can be; what is longer was not written here. */
const LARGEST = 16 * 1_048_576

/** Writes down what is in force. To be called at the start, and again after every change. */
export async function writeRunning(
  dataDir: string,
  about: { readonly since: number; readonly url: string },
  settings: Settings,
): Promise<void> {
  const salt = randomBytes(16).toString('hex')
  const document: RunningDocument = {
    format: 1,
    host: hostname(),
    pid: process.pid,
    since: new Date(about.since).toISOString(),
    url: about.url,
    salt,
    settings: fingerprinted(settings, salt),
  }
  const file = fileOf(dataDir)
  const beside = `${file}.${randomUUID()}.tmp`
  try {
    {
      await using handle = await open(beside, 'wx', 0o600)
      await handle.writeFile(JSON.stringify(document))
    }
    await rename(beside, file)
  } catch (error) {
    await rm(beside, { force: true })
    throw error
  }
}

/** Takes it back, unless another gateway has written its own since. */
export async function removeRunning(dataDir: string): Promise<void> {
  const document = await read(dataDir)
  if (document?.host === hostname() && document.pid === process.pid)
    await rm(fileOf(dataDir), { force: true })
}

/** The gateway that runs here with the data directory of these settings, and what differs; `undefined` when none does. */
export async function compareWithRunning(settings: Settings): Promise<Running | undefined> {
  const document = await read(settings.dataDir)
  // A gateway that was killed leaves its file behind.
  if (!document || document.host !== hostname() || !isAlive(document.pid)) return undefined
  const { pid, since, url, salt } = document
  return { pid, since, url, changes: difference(document.settings, fingerprinted(settings, salt)) }
}

async function read(dataDir: string): Promise<RunningDocument | undefined> {
  try {
    const file = fileOf(dataDir)
    const { size } = await stat(file)
    if (size > LARGEST) return undefined
    const document: unknown = JSON.parse(await readFile(file, 'utf8'))
    return isRunningDocument(document) ? document : undefined
  } catch {
    // None, or none that this version understands: nothing can be said, and nothing is.
    return undefined
  }
}

function isRunningDocument(value: unknown): value is RunningDocument {
  const document = value as Partial<RunningDocument> | null
  return (
    typeof document === 'object' &&
    document?.format === 1 &&
    typeof document.host === 'string' &&
    Number.isSafeInteger(document.pid) &&
    (document.pid ?? 0) > 0 &&
    typeof document.since === 'string' &&
    typeof document.url === 'string' &&
    typeof document.salt === 'string' &&
    typeof document.settings === 'object' &&
    document.settings !== null
  )
}
