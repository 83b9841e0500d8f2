import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8')

interface Package {
  readonly dependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}

const manifest = JSON.parse(read('package.json')) as Package
const runtime = [...Object.keys(manifest.dependencies), ...Object.keys(manifest.optionalDependencies)]

describe('dependencies', () => {
  it('each runtime dependency has its line in docs/dependencies.md, and no line is left over', () => {
    const listed = [...read('docs/dependencies.md').matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1])
    expect(new Set(listed)).toEqual(new Set(runtime))
  })

  it('each runtime dependency is used by the sources', () => {
    const sources = globSync('{src,cli}/**/*.ts', { cwd: ROOT })
      .filter((file) => !file.endsWith('.test.ts'))
      .map(read)
      .join('\n')
    const unused = Object.keys(manifest.dependencies).filter((name) => !sources.includes(`'${name}`))
    expect(unused).toEqual([])
  })

  it('the sources import nothing that is only a development dependency', () => {
    const wrong = globSync('{src,cli}/**/*.ts', { cwd: ROOT })
      .filter((file) => !file.endsWith('.test.ts'))
      .flatMap((file) =>
        [...read(file).matchAll(/^(?:import|export|\}).* from '([^.'][^']*)'/gm)].map(
          (match) => [file, match[1] as string] as const,
        ),
      )
      .filter(
        ([, name]) =>
          !name.startsWith('node:') &&
          !runtime.some((known) => name === known || name.startsWith(`${known}/`)),
      )
    expect(wrong).toEqual([])
  })

  it('versions are exact, so that two installs are alike', () => {
    const loose = Object.entries({
      ...manifest.dependencies,
      ...manifest.optionalDependencies,
      ...manifest.devDependencies,
    }).filter(([, version]) => !/^\d/.test(version))
    expect(loose).toEqual([])
  })

  it('the lock file names no registry', () => {
    expect(read('package-lock.json')).not.toMatch(/"resolved":|https?:\/\/[^"]*\.tgz/)
  })
})
