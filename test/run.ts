/**
 * The test command: types, lint, format, then every test. Its last line is always
 * `N passed, N failed, N skipped`; a check that is not a test counts as one.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface Summary {
  readonly numPassedTests: number
  readonly numFailedTests: number
  readonly numPendingTests: number
  readonly numTodoTests: number
  readonly numFailedTestSuites: number
}

const CHECKS: readonly (readonly [name: string, command: string, ...args: string[]])[] = [
  ['types', 'tsc', '--noEmit', '-p', '.'],
  ['lint', 'oxlint', '--type-aware', '--deny-warnings'],
  ['format', 'prettier', '--check', '--log-level', 'warn', '.'],
]

let passed = 0
let failed = 0
let skipped = 0

for (const [name, command, ...args] of CHECKS) {
  const { status } = spawnSync(command, args, { stdio: 'inherit' })
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'}  ${name}`)
  if (status === 0) passed += 1
  else failed += 1
}

const scratch = mkdtempSync(join(tmpdir(), 'postern-test-'))
const report = join(scratch, 'report.json')
const args = [
  'run',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${report}`,
  ...process.argv.slice(2),
]
const { status } = spawnSync('vitest', args, { stdio: 'inherit' })
try {
  const summary = JSON.parse(readFileSync(report, 'utf8')) as Summary
  passed += summary.numPassedTests
  failed += summary.numFailedTests
  skipped += summary.numPendingTests + summary.numTodoTests
  // A file that fails to load, or an error between tests, has no failed test of its own.
  if (status !== 0 && summary.numFailedTests === 0) failed += Math.max(1, summary.numFailedTestSuites)
} catch {
  failed += 1
  console.log('FAILED  the test runner left no report')
}
rmSync(scratch, { recursive: true, force: true })

console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`)
process.exitCode = failed === 0 ? 0 : 1
