import { randomBytes } from 'node:crypto'
import { join, resolve } from 'node:path'
import { systemCode } from '../src/lib/system-code.ts'
import type { Command, ExitCode, Given, Invocation } from './command.ts'
import type { InstalledFile } from './installed-files.ts'
import { ForeignPlace } from './refuse-foreign-place.ts'
import { columns } from './text.ts'

export const command: Command = {
  name: 'install',
  summary: 'set Postern up as a systemd service',
  description:
    'Writes the unit postern.service, a configuration to start from, the secret that sign-ins are signed with, and the ' +
    'data directory. What is there already stays, except for the unit, which is written anew. Starts nothing.',
  options: [
    {
      name: 'root',
      value: 'DIR',
      summary: 'write everything below DIR as if it were /: for a trial, or an image',
    },
    {
      name: 'node',
      value: 'FILE',
      summary: 'the Node.js that the service starts',
      standard: 'the one that runs this',
    },
  ],
  examples: [
    ['sudo postern install', 'on this machine'],
    ['postern install --root ./trial', 'shows what it would write'],
  ],
  run,
}

async function run(invocation: Invocation, given: Given): Promise<ExitCode> {
  for (const option of ['config', 'data-dir']) {
    if (given.text(option) !== undefined)
      return invocation.misuse(`--${option} has no place here: systemd says where files are`, 'usage')
  }
  const asked = given.text('root')
  const root = asked === undefined ? null : resolve(invocation.cwd, asked)
  if (root === null && process.geteuid?.() !== 0) {
    return invocation.fail({
      code: 'needs_root',
      message:
        'installing writes below /etc and /var/lib, which takes root: run it with sudo, or look at what it would ' +
        'write with --root DIR',
    })
  }
  const { posternPath, whyServiceCannotStart } = await import('./program-paths.ts')
  const programs = {
    node: resolve(invocation.cwd, given.text('node') ?? process.execPath),
    postern: posternPath(),
  }
  const problems = await whyServiceCannotStart(programs)
  if (problems.length > 0 && root === null) {
    return invocation.fail({
      code: 'unit_unusable',
      message: 'the service could not start: it runs as a user of its own, who has no home',
      details: { problems },
      more: [...problems, 'Install Postern and Node.js for everybody, such as below /opt or /usr/local.'],
    })
  }
  for (const problem of problems) invocation.note(`postern: the service could not start here. ${problem}`)

  const { INSTALLED } = await import('./unit-file.ts')
  const at = (path: string): string => (root === null ? path : join(root, path))
  let files: readonly InstalledFile[]
  try {
    await refuseForeign(at, root)
    files = await writeFiles(at)
  } catch (error) {
    return invocation.fail(notWritten(error, at(INSTALLED.directory)))
  }
  const { drainMs, url } = await readInstalled(invocation, at(INSTALLED.config))
  try {
    files = [await writeUnit(at, { ...programs, drainMs }), ...files]
  } catch (error) {
    return invocation.fail(notWritten(error, at(INSTALLED.unit)))
  }
  const next = nextCommands(programs.postern, at(INSTALLED.unit), root, url)
  invocation.answer(
    {
      root,
      node: programs.node,
      postern: programs.postern,
      files: files.map(({ path, did, note }) => ({ path, did, note: note ?? null })),
      next: next.map(([line]) => line),
    },
    shown(invocation, files, next, root),
  )
  return 0
}

type Place = (path: string) => string

/** Before anything is written. */
async function refuseForeign(at: Place, root: string | null): Promise<void> {
  const [{ refuseForeignOwner, refuseForeignPlace }, { INSTALLED }, { existsSync }] = await Promise.all([
    import('./refuse-foreign-place.ts'),
    import('./unit-file.ts'),
    import('node:fs'),
  ])
  for (const path of [INSTALLED.unit, INSTALLED.config, INSTALLED.secret, INSTALLED.dataDir])
    await refuseForeignPlace(at(path), root)
  if (existsSync(at(INSTALLED.directory))) await refuseForeignOwner(at(INSTALLED.directory))
}

async function writeFiles(at: Place): Promise<readonly InstalledFile[]> {
  const [{ putDirectory, putOnce }, { INSTALLED }, { startingFile }] = await Promise.all([
    import('./installed-files.ts'),
    import('./unit-file.ts'),
    import('../src/config/starting-file.ts'),
  ])
  await putDirectory(at(INSTALLED.directory), 0o2750)
  const config = startingFile({ dataDir: INSTALLED.dataDir, 'auth.jwt.secretFile': INSTALLED.secret })
  return [
    await putOnce(at(INSTALLED.config), config, 0o640),
    await putOnce(at(INSTALLED.secret), randomBytes(64), 0o640),
    await putDirectory(at(INSTALLED.dataDir), 0o750),
  ]
}

async function writeUnit(
  at: Place,
  options: { readonly node: string; readonly postern: string; readonly drainMs: number },
): Promise<InstalledFile> {
  const [{ putAnew }, { INSTALLED, unitFile }] = await Promise.all([
    import('./installed-files.ts'),
    import('./unit-file.ts'),
  ])
  return await putAnew(at(INSTALLED.unit), unitFile(options), 0o644)
}

function notWritten(error: unknown, place: string): { readonly code: string; readonly message: string } {
  if (error instanceof ForeignPlace) return { code: 'file_not_written', message: error.message }
  const code = systemCode(error)
  if (code === undefined) throw error
  const path = error instanceof Error && 'path' in error ? String(error.path) : place
  return { code: 'file_not_written', message: `${path} cannot be written: ${code}` }
}

/** What the unit and the advice depend on, of a configuration that may be somebody's own. */
async function readInstalled(
  invocation: Invocation,
  file: string,
): Promise<{ readonly drainMs: number; readonly url: string }> {
  const { loadSettings } = await import('../src/config/load.ts')
  const loaded = await loadSettings({
    file,
    cwd: '/',
    env: {},
    now: invocation.clock.now(),
    purpose: 'administer',
  })
  if (!loaded.ok) {
    invocation.note(`postern: ${file} has a mistake: see "postern config check --config ${file}"`)
    return { drainMs: 10_000, url: 'http://127.0.0.1:8080' }
  }
  const { limits, server } = loaded.value.settings
  const isAnywhere = ['', '0.0.0.0', '::'].includes(server.host)
  const host = isAnywhere ? 'localhost' : server.host.includes(':') ? `[${server.host}]` : server.host
  return { drainMs: limits.drainMs, url: `${server.tls ? 'https' : 'http'}://${host}:${server.port}` }
}

type NextCommand = readonly [line: string, does: string]

function nextCommands(
  postern: string,
  unit: string,
  root: string | null,
  url: string,
): readonly NextCommand[] {
  if (root !== null) {
    return [
      [`systemd-analyze verify ${unit}`, 'has systemd check the unit'],
      [`systemd-analyze security --offline=true ${unit}`, 'shows what the service may still do'],
      [`sudo ${postern} install`, 'does the same on this machine'],
    ]
  }
  return [
    [
      `sudo ${postern} user add --config /etc/postern/postern.yaml --username NAME --admin`,
      'makes the first administrator; asks for a password',
    ],
    ['sudo systemctl enable --now postern', 'starts Postern, now and with the machine'],
    [`curl -s ${url}/health/ready`, 'says {"status":"ok"}'],
  ]
}

const MEANINGS = [
  'the systemd unit',
  'the configuration: all is off but the two paths of this machine',
  'what sign-ins are signed with: keep a copy apart from backups',
  'where the store will be',
] as const

function shown(
  { style, stdout }: Invocation,
  files: readonly InstalledFile[],
  next: readonly NextCommand[],
  root: string | null,
): string {
  const rows = files.map(({ path, did, note }, index) => {
    const meaning = `${MEANINGS[index] ?? ''}${note === undefined ? '' : `; it ${note}`}`
    return [`${did.padEnd(8)} ${path}`, meaning] as const
  })
  const left = Math.max(...rows.map(([file]) => file.length))
  return [
    root === null
      ? 'Postern is set up as a service. It does not run yet.'
      : `This is what an installation has, below ${root}. Nothing else was touched.`,
    '',
    columns(rows, { indent: 2, left, width: stdout.columns ?? 120 }),
    '',
    style.bold('Next'),
    ...next.flatMap(([line, does]) => [`  ${line}`, `      ${style.dim(does)}`]),
    '',
  ].join('\n')
}
