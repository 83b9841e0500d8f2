import { randomUUID } from 'node:crypto'
import { lstat, open, rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { Command, ExitCode, Given, Invocation } from './command.ts'
import { configFile } from './read-settings.ts'

export const command: Command = {
  name: 'config init',
  summary: 'write a commented configuration file to start from',
  description:
    'Writes postern.yaml here, or the file that --config names, readable by its owner only. Every key is ' +
    'in it with its default or an example, switched off, so it means the defaults until it is changed.',
  options: [{ name: 'force', summary: 'replace a file that is there' }],
  run,
}

async function run(invocation: Invocation, given: Given): Promise<ExitCode> {
  const file = resolve(invocation.cwd, configFile(invocation, given) ?? 'postern.yaml')
  if (!/\.ya?ml$/i.test(file))
    return invocation.fail({
      code: 'file_not_written',
      message: `the starting file is YAML: let the name end in .yaml, unlike ${file}`,
    })
  const { startingFile } = await import('../src/config/starting-file.ts')
  try {
    if (given.flag('force')) await replace(file, startingFile())
    else await create(file, startingFile())
  } catch (error) {
    return failed(invocation, file, error)
  }
  invocation.answer({ file }, `Wrote ${file}\nChange what you need, then run "postern config check".`)
  return 0
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

function failed(invocation: Invocation, file: string, error: unknown): 1 {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
  if (code === 'EEXIST')
    return invocation.fail({
      code: 'file_exists',
      message: `${file} is there already: use --force to replace it, or --config to name another`,
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
