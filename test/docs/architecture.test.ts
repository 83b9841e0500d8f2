import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

it('docs/architecture.md names files and folders that are there', () => {
  const files = globSync(['src/**/*.ts', 'test/*.ts'], { cwd: root })
  const page = readFileSync(`${root}/docs/architecture.md`, 'utf8')
  const names = new Set([...page.matchAll(/`([a-z/-]+(?:\.ts|\/))`/g)].map(([, name = '']) => name))
  expect(names.size).toBeGreaterThan(50)
  for (const name of names) {
    const there = name.endsWith('/')
      ? files.some((file) => `/${file}`.includes(`/${name}`))
      : files.some((file) => `/${file}`.endsWith(`/${name}`))
    expect(there, name).toBe(true)
  }
})
