import { access, constants } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { sha256Hex } from '../lib/digest.ts'
import { err, ok, type Result } from '../lib/result.ts'
import { crossCheck } from './cross-check.ts'
import { dialectOf } from './dialects/index.ts'
import { applyEnvironment, putAt } from './environment.ts'
import { freeze } from './freeze.ts'
import { defaultStore, keys } from './keys.ts'
import { isLeftOpen } from './left-open.ts'
import { emptyMap, type MapNode } from './node.ts'
import { parseText } from './parse.ts'
import { type ConfigProblems, type Problem, Report } from './problem.ts'
import { readFile } from './read-file.ts'
import { type Environment, resolveReferences } from './references.ts'
import { rowsOf } from './rows.ts'
import type { Settings } from './settings.ts'
import type { Context, Place } from './spec.ts'

/** What the command line says, over everything else. Relative paths are meant from `cwd`. */
export interface Overrides {
  readonly addr?: string
  readonly dataDir?: string
  readonly noAuth?: boolean
  /** `--tls` was given: there must be a certificate and a key, here or in the file. */
  readonly tls?: boolean
  readonly tlsCert?: string
  readonly tlsKey?: string
  readonly tokenFile?: string
  /** Names of the databases that `--demo` adds after those of the configuration. */
  readonly demoDatabases?: readonly string[]
}

export interface LoadOptions {
  /** Without it, the first of `postern.yaml`, `.yml`, `.json`, `.jsonc` in `cwd`, or else the defaults. */
  readonly file?: string
  /** Absolute path. */
  readonly cwd: string
  readonly env: Environment
  readonly overrides?: Overrides
  /** Milliseconds since the epoch, for what has expired. */
  readonly now?: number
  /**
   * `run`, the default: everything has to be there. `administer`: a missing environment variable is no problem where
   * only a running gateway needs it, and what stands there instead is good for nothing.
   */
  readonly purpose?: 'run' | 'administer'
}

/** Where a setting comes from; whatever is not listed has its default. */
export type Source = 'file' | 'environment' | 'option'

export interface Loaded {
  /** Complete and frozen. */
  readonly settings: Settings
  /** Absolute path; `null` when there is no file. */
  readonly file: string | null
  /** `native`, or the name of a foreign shape. */
  readonly dialect: string
  /** SHA-256 of the file's text, by which `watchSettings` knows it again; `null` without a file. */
  readonly digest: string | null
  /** What works but should be looked at. */
  readonly warnings: readonly Problem[]
  /** Native path of every setting that was given, and where. */
  readonly sources: ReadonlyMap<string, Source>
}

const USUAL_FILES = ['postern.yaml', 'postern.yml', 'postern.json', 'postern.jsonc']

/** Keys that only the native shape has: `databases` is in others, too. */
export const NATIVE_KEYS = [
  'server',
  'dataDir',
  'store',
  'auth',
  'aggregate',
  'limits',
  'audit',
  'model',
  'log',
  'metrics',
  'traces',
]

const rows = rowsOf(keys)
const knownPaths = rows.map((row) => row.path)

/**
 * Reads the whole configuration: file, environment references, foreign shape, environment variables,
 * command line. All problems come back together; nothing of a configuration with problems is used.
 */
export async function loadSettings(options: LoadOptions): Promise<Result<Loaded, ConfigProblems>> {
  const { cwd, env, overrides = {}, now = Date.now() } = options
  const report = new Report()
  const file = options.file === undefined ? await usualFile(cwd) : resolve(cwd, options.file)
  const failure = (): Result<Loaded, ConfigProblems> =>
    err({ file, problems: report.problems, warnings: report.warnings })

  const written =
    file === null ? { root: emptyMap(), mode: 0, digest: null } : await readWritten(file, report)
  if (!written) return failure()

  const dialect = dialectOf(written.root, NATIVE_KEYS)
  const prepared = dialect?.prepare?.(written.root, report) ?? written.root
  const leftOpen = options.purpose === 'administer' ? isLeftOpen : undefined
  const resolved = resolveReferences(prepared, env, report, leftOpen)
  const native = dialect ? dialect.translate(resolved, { report, env }) : resolved
  const root = applyOptions(applyEnvironment(native, env, rows, report), overrides)

  const places = new Map<string, Place>()
  const context: Context = {
    report,
    fileDir: file === null ? cwd : dirname(file),
    cwd,
    home: env['HOME'],
    now,
    places,
    plainSecrets: [],
    knownPaths,
  }
  const parts = keys.parts(root, { where: root.where, path: '', key: '' }, context)
  await crossCheck(root, parts, overrides, context)
  warnOfReaders(written.mode, context)
  const {
    server,
    dataDir,
    store,
    auth,
    databases,
    mcpServers,
    aggregate,
    limits,
    audit,
    model,
    log,
    metrics,
    traces,
  } = parts
  if (
    report.failed ||
    !server ||
    !dataDir ||
    !store ||
    !auth ||
    !databases ||
    !mcpServers ||
    !aggregate ||
    !limits ||
    !audit ||
    !log ||
    !metrics ||
    model === undefined ||
    traces === undefined
  )
    return failure()

  const settings: Settings = {
    server,
    dataDir,
    store: store.kind === 'beside' ? defaultStore(dataDir) : store,
    auth,
    databases,
    mcpServers,
    aggregate,
    limits,
    audit,
    model,
    log,
    metrics,
    traces,
  }
  return ok({
    settings: freeze(settings),
    file,
    dialect: dialect?.name ?? 'native',
    digest: written.digest,
    warnings: report.warnings,
    sources: sourcesOf(places),
  })
}

async function usualFile(cwd: string): Promise<string | null> {
  for (const name of USUAL_FILES) {
    const file = resolve(cwd, name)
    try {
      await access(file, constants.F_OK)
      return file
    } catch {
      // The next name.
    }
  }
  return null
}

async function readWritten(
  file: string,
  report: Report,
): Promise<{ root: MapNode; mode: number; digest: string } | undefined> {
  const read = await readFile(file, report)
  if (!read) return undefined
  const root = parseText(read.text, file, report)
  return root && { root, mode: read.mode, digest: sha256Hex(read.text) }
}

/** The paths that each option of the command line sets. */
function applyOptions(start: MapNode, overrides: Overrides): MapNode {
  let root = start
  const set = (path: string, option: string, value: string | undefined): void => {
    const row = rows.find((candidate) => candidate.path === path)
    if (value !== undefined && row)
      root = putAt(root, path.split('.'), row, value, { kind: 'option', option })
  }
  set('server.addr', '--addr', overrides.addr)
  set('dataDir', '--data-dir', overrides.dataDir)
  set('auth.enabled', '--no-auth', overrides.noAuth === true ? 'false' : undefined)
  set('auth.tokenFile', '--token-file', overrides.tokenFile)
  set('server.tls.cert', '--cert', overrides.tlsCert)
  set('server.tls.key', '--key', overrides.tlsKey)
  return root
}

/** A file that holds a credential and that everybody on the machine can read. */
function warnOfReaders(mode: number, { plainSecrets, report }: Context): void {
  const [first] = plainSecrets
  if ((mode & 0o004) === 0 || !first) return
  report.warning(
    'config_insecure',
    first,
    `holds a secret, and every user of this machine can read the file (mode ${mode.toString(8).padStart(4, '0')}): chmod 600, or use $env:NAME`,
  )
}

function sourcesOf(places: ReadonlyMap<string, Place>): ReadonlyMap<string, Source> {
  const sources = new Map<string, Source>()
  for (const [key, { where }] of places) if (where.kind !== 'nowhere') sources.set(key, where.kind)
  return sources
}
