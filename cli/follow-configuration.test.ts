import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Settings } from '../src/config/settings.ts'
import type { Observation } from '../src/observe/observation.ts'
import { testInvocation } from '../test/support/invocation.ts'
import type { Given, Invocation } from './command.ts'
import { followConfiguration } from './follow-configuration.ts'
import { GLOBAL_OPTIONS } from './global-options.ts'
import { parse } from './parse.ts'
import { readSettings } from './read-settings.ts'
import { command as serve } from './serve.ts'

let dir: string
let file: string
let unfollow: (() => void) | undefined
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-follow-'))
  file = join(dir, 'postern.yaml')
})
afterEach(async () => {
  unfollow?.()
  await rm(dir, { recursive: true, force: true })
})

/** Whole at once, as editors and configuration management replace a file. */
const configure = async (text: string): Promise<void> => {
  await writeFile(`${file}.new`, text, { mode: 0o600 })
  await rename(`${file}.new`, file)
}

const givenWords = (...words: readonly string[]): Given => {
  const parsed = parse(['--config', file, '--data-dir', dir, ...words], {
    options: [...(serve.options ?? []), ...GLOBAL_OPTIONS],
    arguments: [],
  })
  if (!parsed.ok) throw new Error(parsed.error.message)
  return parsed.value
}

async function follow(onReload: () => void = () => undefined) {
  const { invocation } = testInvocation()
  let hangUp = (): void => undefined
  const heard: Invocation = {
    ...invocation,
    onSignal: (signal, listener) => {
      if (signal === 'SIGHUP') hangUp = listener
      return () => undefined
    },
  }
  const given = givenWords()
  const started = await readSettings(heard, given)
  if (!started.ok) throw new Error('the configuration cannot be read')
  const taken: Settings[] = []
  const observations: Observation[] = []
  const inForce: Settings[] = []
  unfollow = followConfiguration(
    heard,
    given,
    started.value,
    {
      reload: (settings) => {
        taken.push(settings)
        onReload()
      },
    },
    (observation) => void observations.push(observation),
    (settings) => void inForce.push(settings),
  )
  return { taken, observations, inForce, hangUp: () => hangUp() }
}

const HASH = 'a'.repeat(64)

it('takes a changed file over, keeps what was in force when it is bad, and says what is wrong', async () => {
  await configure('server: { name: before }\n')
  const { taken, observations } = await follow()

  await configure('auth: { tokns: {} }\n')
  await expect
    .poll(() => observations, { timeout: 10_000 })
    .toMatchObject([
      { kind: 'config.warning', message: expect.stringMatching(/^Not reloaded: .*tokns/) as string },
    ])
  expect(taken).toEqual([])

  await configure(`auth: { tokens: { ci: { hash: ${HASH} } } }\n`)
  await expect.poll(() => taken.length, { timeout: 10_000 }).toBe(1)
  expect(taken[0]?.auth.tokens).toMatchObject([{ name: 'ci' }])
  expect(observations.slice(1)).toMatchObject([
    { kind: 'config.changed', path: 'server.name', from: 'before', to: 'postern', restart: true },
    { kind: 'config.changed', path: 'auth.tokens.ci', change: 'added', restart: false },
    { kind: 'config.loaded', file },
  ])
})

it('tells what differs before it is taken over, no secret in it, and goes on from what is in force', async () => {
  const text = (name: string, secret: string): string =>
    JSON.stringify({
      server: { name },
      mcpServers: {
        wiki: { url: `https://h/mcp?key=${secret}`, headers: { 'x-key': secret } },
        files: { command: 'x', args: [secret], env: { KEY: secret } },
      },
    })
  await configure(text('before', 'hunter2'))
  const { taken, observations, inForce } = await follow(() => {
    observations.push({ kind: 'server.stopped' })
  })
  await configure(text('after', 'hunter3'))
  await expect.poll(() => inForce.length, { timeout: 10_000 }).toBe(1)
  const changed = (path: string) => ({ kind: 'config.changed', path, change: 'changed' })
  expect(observations).toMatchObject([
    { ...changed('server.name'), from: 'before', to: 'after', restart: true },
    {
      ...changed('mcpServers.wiki.url'),
      from: 'https://h/mcp?…',
      to: 'https://h/mcp?…',
      restart: false,
    },
    { ...changed('mcpServers.wiki.headers.x-key'), from: '(changed)', to: '(changed)' },
    { ...changed('mcpServers.files.args'), from: '[arguments]' },
    { ...changed('mcpServers.files.env.KEY'), from: '(changed)' },
    // Here it was taken over.
    { kind: 'server.stopped' },
    { kind: 'config.loaded' },
  ])
  expect(JSON.stringify(observations)).not.toContain('hunter')
  expect(taken).toHaveLength(1)
  expect(inForce[0]?.server.name).toBe('before')
  expect(inForce[0]?.mcpServers).toBe(taken[0]?.mcpServers)
  await configure(text('before', 'hunter3'))
  await expect.poll(() => inForce.length, { timeout: 10_000 }).toBe(2)
  expect(observations.slice(7).map(({ kind }) => kind)).toEqual(['server.stopped', 'config.loaded'])
})

it('reads on SIGHUP, and what SIGHUP took over is not taken over once more', async () => {
  await configure('server: { name: before }\n')
  const { taken, observations, hangUp } = await follow()
  await configure('server: { name: after }\n')
  hangUp()
  await expect.poll(() => taken.length, { timeout: 10_000 }).toBe(1)
  // A later change is seen: the watch is past the first one then.
  await configure('server: { name: last }\n')
  await expect.poll(() => taken.at(-1)?.server.name, { timeout: 10_000 }).toBe('last')
  expect(taken.map(({ server }) => server.name)).toEqual(['after', 'last'])
  const kinds = ['config.changed', 'config.loaded']
  expect(observations.map(({ kind }) => kind)).toEqual([...kinds, ...kinds])
})

it('knows the database that --demo adds: tokens may name it, a configured one may not take its name', async () => {
  const { invocation, stderr } = testInvocation()
  await configure(`auth: { tokens: { ci: { hash: ${HASH}, databases: [sample] } } }\n`)
  expect((await readSettings(invocation, givenWords('--demo'))).ok).toBe(true)
  expect((await readSettings(invocation, givenWords())).ok).toBe(false)
  await configure('databases: [{ name: sample, url: "postgres://a@127.0.0.1/x?sslmode=disable" }]\n')
  expect((await readSettings(invocation, givenWords('--demo'))).ok).toBe(false)
  expect(stderr()).toContain('adds a database "sample"')
})
