/** Makes `dist/`, what the published package runs: the sources as JavaScript, and the files that they read. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, globSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

rmSync(join(ROOT, 'dist'), { recursive: true, force: true })
const { status } = spawnSync('tsc', ['-p', 'tsconfig.build.json'], { cwd: ROOT, stdio: 'inherit' })
if (status !== 0) process.exit(1)
for (const file of globSync('{src,cli}/**/*.{tsv,gz}', { cwd: ROOT }))
  copyFileSync(join(ROOT, file), join(ROOT, 'dist', file))
