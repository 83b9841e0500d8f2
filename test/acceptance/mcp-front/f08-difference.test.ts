import { rename } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Serving } from '../../support/postern.ts'
import { soon } from '../../support/soon.ts'
import { knock, logOf, openRoom, type Room } from './room.ts'

const FIRST = 'f8-first-token-0123456789'
const SECOND = 'f8-second-token-0123456789'

let room: Room
let gateway: Serving

const configuration = (tokens: object, timeout: string, more: object = {}): string =>
  JSON.stringify(
    {
      proxy: { addr: '127.0.0.1:0', auth: { kind: 'bearer_token', tokens } },
      mcpServers: {
        files: { command: 'node', args: ['-e', '', 'f8-argument-0123456789'], timeout, ...more },
      },
    },
    null,
    2,
  )

/** Whole at once, as editors replace a file. */
async function configure(text: string): Promise<void> {
  await room.write('config.json.new', text)
  await rename(room.path('config.json.new'), room.path('config.json'))
}

beforeAll(async () => {
  room = await openRoom()
  await configure(configuration({ first: FIRST }, '10s'))
  gateway = await room.serve(['-config', 'config.json'])
})

afterAll(async () => {
  await room?.close()
})

const messages = (): readonly string[] => logOf(gateway).map(({ msg }) => String(msg))

describe('F8 changed configuration', () => {
  it('F8 config check names the difference to what runs, and no secret', async () => {
    await room.write(
      'next.json',
      configuration({ first: SECOND, second: FIRST }, '20s', { authTokens: ['first'] }),
    )
    const text = await room.run(['config', 'check', '--config', 'next.json'])
    expect(text.code).toBe(0)
    expect(text.stdout).toContain(`What differs from the gateway that runs (${gateway.url}, process`)
    for (const line of [
      'auth.tokens.first.value: changed',
      'auth.tokens.second: added',
      'mcpServers.files.authTokens: added',
      'mcpServers.files.timeout: 10s → 20s',
    ])
      expect(text.stdout).toContain(`  ${line}\n`)
    expect(text.stdout).not.toMatch(/f8-(?:first|second|argument)/)
    const same = await room.run(['config', 'check', '--config', 'config.json', '--json'])
    expect(JSON.parse(same.stdout)).toMatchObject({ running: { url: gateway.url, changes: [] } })
  })

  it('F8 a bad file changes nothing, and everything that is wrong with it is said', async () => {
    await configure(configuration({ first: '$env:NOT_THERE' }, 'soon', { authTokens: ['frist'] }))
    await soon(() =>
      messages()
        .filter((msg) => msg.startsWith('Not reloaded'))
        .join('\n'),
    ).toMatch(/NOT_THERE[\s\S]*authTokens[\s\S]*did you mean "first"/)
    expect(messages().join('\n')).toMatch(/Not reloaded: .*files\.timeout/)
    expect(messages().join('\n')).not.toContain('Configuration changed')
    expect((await knock(gateway.url, FIRST)).status).toBe(200)
  })

  it('F8 the difference is told before it is taken over', async () => {
    await configure(configuration({ second: SECOND }, '20s'))
    await soon(async () => (await knock(gateway.url, SECOND)).status).toBe(200)
    expect((await knock(gateway.url, FIRST)).status).toBe(401)
    await soon(() => messages().filter((msg) => msg === 'Configuration loaded')).toHaveLength(2)
    const log = logOf(gateway)
    const told = log.filter(({ msg }) => /^Configuration (?:added|removed|changed): /.test(String(msg)))
    expect(told).toMatchObject([
      { path: 'auth.tokens.first' },
      { path: 'auth.tokens.second' },
      { path: 'mcpServers.files.timeout', from: '10s', to: '20s' },
    ])
    const last = log.findLastIndex(({ msg }) => msg === 'Configuration loaded')
    for (const line of told) expect(log.indexOf(line)).toBeLessThan(last)
    expect(gateway.stderr()).not.toMatch(/f8-(?:first|second|argument)/)
    const after = await room.run(['config', 'check', '--config', 'config.json', '--json'])
    expect(JSON.parse(after.stdout)).toMatchObject({ running: { changes: [] } })
  })

  it('F8 nothing is compared once the gateway has stopped', async () => {
    await gateway.stop()
    const { stdout } = await room.run(['config', 'check', '--config', 'config.json', '--json'])
    expect(JSON.parse(stdout)).toMatchObject({ running: null })
  })
})
