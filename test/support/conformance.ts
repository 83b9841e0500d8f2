import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** One check of the official conformance suite, as it writes it down. */
export interface Check {
  readonly id: string
  readonly status: string
  readonly errorMessage?: string
}

const BIN = join(
  dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json')),
  'dist/index.js',
)

/** Runs every scenario of one set of requirements against a server and gives the checks by scenario. */
export async function runConformance(url: string, revision: string): Promise<Map<string, readonly Check[]>> {
  const out = mkdtempSync(join(tmpdir(), 'postern-conformance-'))
  try {
    const args = [BIN, 'server', '--url', url, '--requirements', revision, '-o', out]
    // It exits with 1 when any scenario fails, those about prompts and resources included: the files tell.
    await new Promise((resolve) => {
      execFile(process.execPath, args, { maxBuffer: 64 * 1024 * 1024 }, resolve)
    })
    const found = new Map<string, readonly Check[]>()
    for (const folder of readdirSync(out)) {
      const scenario = /^server-(.+?)-\d{4}-\d\d-\d\dT/.exec(folder)?.[1]
      const checks = readFileSync(join(out, folder, 'checks.json'), 'utf8')
      if (scenario !== undefined) found.set(scenario, JSON.parse(checks) as Check[])
    }
    return found
  } finally {
    rmSync(out, { recursive: true, force: true })
  }
}

/** The checks that did not pass; a warning is a recommendation that was not followed. */
export const bad = (checks: readonly Check[] | undefined): readonly Check[] =>
  (checks ?? []).filter(({ status }) => status === 'FAILURE' || status === 'WARNING')
