import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { knock, openRoom, type Room } from './room.ts'

let room: Room

beforeAll(async () => {
  room = await openRoom()
})

afterAll(async () => {
  await room?.close()
})

/** References in every place that a value can have. */
const EVERYWHERE = {
  proxy: {
    name: 'everywhere in $env:PLACE|nowhere',
    addr: { $env: 'ADDRESS' },
    auth: { kind: 'bearer_token', tokens: { plain: '$env:PLAIN_TOKEN', object: { $env: 'OBJECT_TOKEN' } } },
  },
  mcpServers: {
    program: {
      command: '$env:PROGRAM|node',
      args: ['--key', '$env:ARGUMENT', { $env: 'OBJECT_ARGUMENT' }],
      env: { KEY: '$env:VARIABLE', URL: 'postgres://u:$env:PASSWORD|none' },
      authTokens: ['plain', '$env:SECOND|object'],
    },
    remote: { url: '$env:URL', headers: { Authorization: 'Bearer $env:HEADER' } },
  },
}

const NEEDED = {
  ADDRESS: '127.0.0.1:0',
  PLAIN_TOKEN: 'plain-token-0123456789',
  OBJECT_TOKEN: 'object-token-0123456789',
  ARGUMENT: 'the-argument',
  OBJECT_ARGUMENT: 'the-other-argument',
  VARIABLE: 'the-variable',
  URL: 'https://remote.example.com/mcp',
  HEADER: 'the-header',
}

describe('F2 values from the environment', () => {
  it('F2 are put in wherever they stand', async () => {
    await room.write('everywhere.json', JSON.stringify(EVERYWHERE))
    const gateway = await room.serve(['-config', 'everywhere.json'], NEEDED)
    for (const token of [NEEDED.PLAIN_TOKEN, NEEDED.OBJECT_TOKEN])
      expect((await knock(gateway.url, token)).status).toBe(200)
    const answer = await knock(gateway.url, NEEDED.PLAIN_TOKEN)
    expect(answer.body).toMatchObject({ result: { serverInfo: { name: 'everywhere in nowhere' } } })
    await gateway.stop()
    for (const value of [
      NEEDED.PLAIN_TOKEN,
      NEEDED.OBJECT_TOKEN,
      'the-argument',
      'the-variable',
      'the-header',
    ])
      expect(gateway.stderr()).not.toContain(value)
  })

  it('F2 that are missing are all named at once, each with its place', async () => {
    await room.write('everywhere.json', JSON.stringify(EVERYWHERE, null, 2))
    const { code, stdout, stderr } = await room.run(['-config', 'everywhere.json', '-json'], {
      PROGRAM: 'deno',
    })
    expect(code).toBe(1)
    const { problems } = JSON.parse(stdout) as { problems: { code: string; path: string; message: string }[] }
    const missing = problems.filter((problem) => problem.code === 'config_missing_variable')
    expect(missing.map(({ path, message }) => [path, /variable (\w+)/.exec(message)?.[1]])).toEqual([
      ['proxy.addr', 'ADDRESS'],
      ['proxy.auth.tokens.plain', 'PLAIN_TOKEN'],
      ['proxy.auth.tokens.object', 'OBJECT_TOKEN'],
      ['mcpServers.program.args[1]', 'ARGUMENT'],
      ['mcpServers.program.args[2]', 'OBJECT_ARGUMENT'],
      ['mcpServers.program.env.KEY', 'VARIABLE'],
      ['mcpServers.remote.url', 'URL'],
      ['mcpServers.remote.headers.Authorization', 'HEADER'],
    ])
    expect(problems.length).toBe(missing.length)
    expect(stderr).toBe('')
  })

  it('F2 are missing as well when they are empty, also in env of a server behind a url', async () => {
    await room.write(
      'empty.json',
      '{"proxy": {}, "mcpServers": {"a": {"url": "http://a/sse", "env": {"X": "$env:DATABASE_URL"}}}}',
    )
    const { code, stderr } = await room.run(['-config', 'empty.json'], { DATABASE_URL: '' })
    expect(code).toBe(1)
    expect(stderr).toContain('needs the environment variable DATABASE_URL')
  })
})
