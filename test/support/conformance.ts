import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { parse } from 'yaml'

/** One check of the official conformance suite, as it writes it down. */
export interface Check {
  readonly id: string
  readonly status: string
  readonly errorMessage?: string
}

export type Requirements = '2025-11-25' | '2026-07-28'

const SUITE = dirname(
  createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json'),
)

/** Runs every scenario of one set of requirements against a server and gives the checks by scenario. */
export async function runConformance(url: string, revision: string): Promise<Map<string, readonly Check[]>> {
  const out = mkdtempSync(join(tmpdir(), 'postern-conformance-'))
  try {
    const bin = join(SUITE, 'dist/index.js')
    const args = [bin, 'server', '--url', url, '--requirements', revision, '-o', out]
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

/** The scenarios of a set of requirements that count, and those that are only run. */
export function requirements(revision: Requirements): {
  readonly required: readonly string[]
  readonly unscored: readonly string[]
} {
  const set = parse(readFileSync(join(SUITE, `requirements/${revision}.yaml`), 'utf8')) as {
    readonly server: readonly string[]
    readonly not_scored: readonly { readonly scenario: string; readonly leg: string }[]
  }
  return {
    required: set.server,
    unscored: set.not_scored.filter(({ leg }) => leg === 'server').map(({ scenario }) => scenario),
  }
}

/** How often each check ended how, by scenario: what two runs of the suite can be compared by. */
export type Score = Readonly<Record<string, Readonly<Record<string, number>>>>

/** @returns for each scenario, in order of its name, `check id: STATUS` and how often */
export function score(results: ReadonlyMap<string, readonly Check[]>): Score {
  const scenarios = [...results].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(
    scenarios.map(([scenario, checks]) => {
      const counts: Record<string, number> = {}
      // What is sent and received is noted, too: it is no verdict.
      const verdicts = checks.filter(({ status }) => status !== 'INFO')
      for (const verdict of verdicts.map(({ id, status }) => `${id}: ${status}`).toSorted()) {
        counts[verdict] = (counts[verdict] ?? 0) + 1
      }
      return [scenario, counts]
    }),
  )
}

/** The scenarios in which something passed and nothing failed. */
export const passed = (results: ReadonlyMap<string, readonly Check[]>): readonly string[] =>
  [...results]
    .filter(([, checks]) => bad(checks).length === 0 && checks.some(({ status }) => status === 'SUCCESS'))
    .map(([scenario]) => scenario)
    .toSorted()

/** What failed, for people: `scenario: check id: message`. */
export const failures = (results: ReadonlyMap<string, readonly Check[]>): readonly string[] =>
  [...results]
    .flatMap(([scenario, checks]) =>
      bad(checks).map(({ id, errorMessage = '' }) => `${scenario}: ${id}: ${errorMessage}`),
    )
    .toSorted()
