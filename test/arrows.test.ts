import { globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** Which rooms a room may import, and why it may import no other. */
const ARROWS: Readonly<Record<string, { readonly to: readonly string[]; readonly why: string }>> = {
  lib: {
    to: [],
    why: 'it is what everything stands on: an arrow out of it would make a cycle of the whole house',
  },
  observe: { to: ['lib'], why: 'what is noticed must not depend on who noticed it' },
  config: {
    to: ['lib'],
    why: 'a room that could be reached from configuration would be tested through files',
  },
  store: {
    to: ['lib', 'observe'],
    why: 'the store keeps rows; what they mean is the business of the rooms above',
  },
  audit: {
    to: ['store', 'observe', 'lib'],
    why: 'the record must be writable by every room, so it knows none of them',
  },
  backup: {
    to: ['audit', 'store', 'observe', 'lib'],
    why: 'a copy of the store knows its tables and its record, and no meaning beyond them',
  },
  identity: { to: ['audit', 'store', 'observe', 'lib'], why: 'who calls is settled before what they may do' },
  access: { to: ['identity', 'lib'], why: 'deciding is pure: no store, no clock, no network' },
  databases: {
    to: ['access', 'identity', 'audit', 'observe', 'lib'],
    why: 'a database answers tools, it never calls one',
  },
  upstreams: {
    to: ['access', 'identity', 'audit', 'store', 'observe', 'lib'],
    why: 'an MCP server is talked to, not judged: who may use it is settled in tools, before this room',
  },
  tools: {
    to: ['upstreams', 'databases', 'access', 'identity', 'audit', 'observe', 'lib'],
    why: 'the pipeline serves every wire, so it knows none of them',
  },
  mcp: {
    to: ['tools', 'upstreams', 'access', 'identity', 'observe', 'lib'],
    why: 'a wire frames calls; it decides nothing and stores nothing',
  },
  http: {
    to: ['mcp', 'tools', 'upstreams', 'databases', 'access', 'identity', 'audit', 'observe', 'lib'],
    why: 'a wire frames calls; it never reads the store past the rooms that own it',
  },
}

interface Import {
  readonly file: string
  readonly room: string
  readonly target: string
}

function importsOf(pattern: string): Import[] {
  const found: Import[] = []
  for (const file of globSync(pattern, { cwd: ROOT })) {
    if (file.endsWith('.test.ts')) continue
    const text = readFileSync(join(ROOT, file), 'utf8')
    for (const match of text.matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+)'/g)) {
      const target = relative(ROOT, join(ROOT, dirname(file), match[1] as string))
      found.push({ file, room: file.split('/')[1] as string, target })
    }
  }
  return found
}

describe('arrows between rooms', () => {
  const imports = importsOf('src/*/**/*.ts')

  it('sees the imports it is to judge', () => {
    expect(imports.length).toBeGreaterThan(50)
  })

  for (const [room, { to, why }] of Object.entries(ARROWS)) {
    it(`${room} imports only ${to.join(', ') || 'itself'}, because ${why}`, () => {
      const wrong = imports
        .filter((found) => found.room === room)
        .filter(({ target }) => {
          const [top, targetRoom] = target.split('/')
          return top !== 'src' || (targetRoom !== room && !to.includes(targetRoom as string))
        })
        .map(({ file, target }) => `${file} -> ${target}`)
      expect(wrong).toEqual([])
    })
  }

  it('has a rule for every room', () => {
    const rooms = new Set(globSync('src/*/', { cwd: ROOT }).map((path) => path.split('/')[1] as string))
    const folders = [...rooms].filter((room) => !room.endsWith('.ts'))
    expect(folders.filter((room) => !(room in ARROWS))).toEqual([])
  })

  it('no source file imports a command, because commands are the outermost wire', () => {
    const wrong = importsOf('src/**/*.ts').filter(
      ({ target, file }) => target.startsWith('cli/') && file !== 'src/main.ts',
    )
    expect(wrong).toEqual([])
  })

  it('only src/main.ts reads arguments, environment and signals, so that everything else can be tested as a function', () => {
    const wrong = globSync('{src,cli}/**/*.ts', { cwd: ROOT })
      .filter((file) => file !== 'src/main.ts' && !file.endsWith('.test.ts'))
      .filter((file) => /process\.(argv|env|on\(|once\(|exit\()/.test(readFileSync(join(ROOT, file), 'utf8')))
    expect(wrong).toEqual([])
  })
})
