import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadSettings } from '../load.ts'
import type { Settings } from '../settings.ts'

let dir = ''
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-observe-'))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

async function load(
  text: string,
  env: Readonly<Record<string, string>> = {},
): Promise<{ readonly settings?: Settings; readonly problems: readonly string[] }> {
  const file = join(dir, 'postern.yaml')
  await writeFile(file, text, { mode: 0o600 })
  const loaded = await loadSettings({ cwd: dir, env, file })
  return loaded.ok
    ? { settings: loaded.value.settings, problems: [] }
    : { problems: loaded.error.problems.map(({ message }) => message) }
}

describe('metrics and traces', () => {
  it('count by default, and trace nothing', async () => {
    const { settings } = await load('{}')
    expect(settings).toMatchObject({ metrics: { enabled: true }, traces: null })
    expect((await load('metrics: {enabled: false}')).settings?.metrics).toEqual({ enabled: false })
  })

  it('take an endpoint with its key from the environment', async () => {
    const { settings } = await load(
      'traces: {endpoint: "http://127.0.0.1:4318/v1/traces?a=b", ratio: 0.05, headers: {X-Key: $env:KEY}}',
      { KEY: 'abc' },
    )
    expect(settings?.traces).toMatchObject({
      endpoint: 'http://127.0.0.1:4318/v1/traces?a=b',
      ratio: 0.05,
      serviceName: 'postern',
    })
    expect(settings?.traces?.headers['X-Key']?.reveal()).toBe('abc')
    expect(JSON.stringify(settings)).not.toContain('abc')
  })

  it('take them from variables alone', async () => {
    const { settings } = await load('{}', {
      POSTERN_TRACES_ENDPOINT: 'http://localhost:4318/v1/traces',
      POSTERN_TRACES_RATIO: '.5',
      POSTERN_METRICS_ENABLED: 'false',
    })
    expect(settings).toMatchObject({ metrics: { enabled: false }, traces: { ratio: 0.5 } })
  })

  it.each(['1', '0', '0.25', '1.0'])('take %s for a ratio', async (ratio) => {
    const { settings } = await load(`traces: {endpoint: "http://h/", ratio: ${ratio}}`)
    expect(settings?.traces?.ratio).toBe(Number(ratio))
  })

  it.each(['1.1', '-0.1', '50%', 'half', 'true', '[1]', '1e-3', '0x1'])(
    'refuse %s for a ratio',
    async (ratio) => {
      const { problems } = await load(`traces: {endpoint: "http://h/", ratio: "${ratio}"}`)
      expect(problems).toEqual(['must be a number from 0 to 1, such as 0.1'])
    },
  )

  it('refuse traces without an endpoint, and a header that would frame the message', async () => {
    expect((await load('traces: {ratio: 1}')).problems).toEqual(['is needed'])
    expect((await load('traces: {endpoint: "http://h/", headers: {Content-Length: "3"}}')).problems).toEqual([
      'is set by Postern itself',
    ])
  })
})
