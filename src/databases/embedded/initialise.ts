import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chown, mkdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Fault } from '../../lib/fault.ts'
import { ENVIRONMENT, type Place } from './place.ts'

export const SUPERUSER = 'postgres'
const INITDB_DEADLINE_MS = 60_000

/** Made beside its final place and renamed when complete, so that an interrupted first start leaves nothing half-made. */
export async function initialise(place: Place, durable: boolean): Promise<void> {
  const unfinished = join(place.dir, 'data.new')
  const passwordFile = join(place.dir, 'initial-password')
  await rm(unfinished, { recursive: true, force: true })
  await rm(passwordFile, { force: true })
  const password = randomBytes(24).toString('base64url')
  try {
    await mkdir(unfinished, { mode: 0o700 })
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600, flag: 'wx' })
    if (place.runAs !== null) {
      await chown(unfinished, place.runAs.uid, place.runAs.gid)
      await chown(passwordFile, place.runAs.uid, place.runAs.gid)
    }
    await writeFile(join(place.dir, 'superuser'), password, { mode: 0o600 })
    await run(place, [
      `--pgdata=${place.door.path}/data.new`,
      `--username=${SUPERUSER}`,
      `--pwfile=${place.door.path}/initial-password`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      // Part of the server, so that sorting does not depend on the system's locales.
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      ...(durable ? [] : ['--no-sync']),
    ])
    await rename(unfinished, place.data)
  } finally {
    await rm(passwordFile, { force: true })
  }
}

async function run(place: Place, args: readonly string[]): Promise<void> {
  const child = spawn(place.binaries.initdb, args, {
    ...place.runAs,
    cwd: '/',
    env: ENVIRONMENT,
    stdio: ['ignore', 'pipe', 'pipe', 'ignore', place.door.handle?.fd ?? 'ignore'],
    timeout: INITDB_DEADLINE_MS,
  })
  let output = ''
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-4_000)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  const code = await new Promise<number | null>((done, failed) => {
    child.once('error', failed)
    child.once('close', done)
  }).catch((cause: unknown) => {
    throw new Fault('database_unavailable', 'the embedded PostgreSQL cannot be run on this system', { cause })
  })
  if (code !== 0) {
    throw new Fault('database_unavailable', 'the embedded PostgreSQL could not make its data directory', {
      cause: new Error(output),
    })
  }
}
