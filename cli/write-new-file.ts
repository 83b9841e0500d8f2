import { randomUUID } from 'node:crypto'
import { lstat, open, rename, rm } from 'node:fs/promises'
import { err, ok, type Result } from '../src/lib/result.ts'
import { systemCode } from '../src/lib/system-code.ts'
import type { Invocation } from './command.ts'

/**
 * Writes a file that only its owner reads. One that is there already stays, unless `force` says to replace it; the
 * failure is reported, and names the option that says to write elsewhere.
 */
export async function writeNewFile(
  invocation: Invocation,
  file: string,
  text: string,
  options: { readonly force: boolean; readonly elsewhere: string },
): Promise<Result<void, 1>> {
  try {
    if (options.force) await replace(file, text)
    else await create(file, text)
    return ok(undefined)
  } catch (error) {
    return err(failed(invocation, file, options.elsewhere, error))
  }
}

/** Fails when something is there, a dangling symbolic link included (`O_EXCL`). */
async function create(file: string, text: string): Promise<void> {
  await using handle = await open(file, 'wx', 0o600)
  await handle.writeFile(text)
  await handle.sync()
}

/** Writes beside the file and renames, so that nobody reads half of it and a failure leaves the old one. */
async function replace(file: string, text: string): Promise<void> {
  const found = await lstat(file).catch(() => undefined)
  if (found?.isDirectory() === true) throw Object.assign(new Error('a directory'), { code: 'EISDIR' })
  const beside = `${file}.${randomUUID()}.tmp`
  try {
    await create(beside, text)
    await rename(beside, file)
  } catch (error) {
    await rm(beside, { force: true })
    throw error
  }
}

function failed(invocation: Invocation, file: string, elsewhere: string, error: unknown): 1 {
  const code = systemCode(error) ?? 'unknown error'
  if (code === 'EEXIST')
    return invocation.fail({
      code: 'file_exists',
      message: `${file} is there already: use --force to replace it, or ${elsewhere} to name another`,
    })
  const reasons: Readonly<Record<string, string>> = {
    EACCES: 'the directory may not be written to',
    EPERM: 'the directory may not be written to',
    EROFS: 'the file system is read-only',
    ENOENT: 'its directory does not exist',
    ENOTDIR: 'its directory does not exist',
    ENOSPC: 'the disk is full',
    EISDIR: 'it is a directory',
  }
  return invocation.fail({
    code: 'file_not_written',
    message: `${file} cannot be written: ${reasons[code] ?? code}`,
  })
}
