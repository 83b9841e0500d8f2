import { setTimeout as pause } from 'node:timers/promises'
import { vi } from 'vitest'
import { ask } from '../support/postern.ts'

/** The machine may be doing ten other things. */
const PATIENTLY = { timeout: 20_000, interval: 20 }

/** What somebody else saw of the gateway while it was ill-treated. */
export interface Seen {
  readonly answers: number
  /** Everything that was not the right answer. */
  readonly failures: readonly string[]
  readonly slowestMs: number
  readonly medianMs: number
}

export interface Bystander {
  /** Resolves after so many further answers. */
  answered(times: number): Promise<void>
  stop(): Promise<Seen>
}

/**
 * A second client that asks the same question again and again, to see that it keeps being answered. The pause
 * between two questions leaves the machine to the test.
 */
export function watch(url: string, token: string, question: Question = SELECT_ONE): Bystander {
  const failures: string[] = []
  let answers = 0
  const times: number[] = []
  const stopped = new AbortController()
  const running = (async () => {
    while (!stopped.signal.aborted) {
      const startedAt = performance.now()
      const answer = await ask(
        `${url}${question.path}`,
        token,
        question.json === undefined ? {} : { json: question.json },
      )
        .then(({ status, body }) => `${status} ${JSON.stringify(body)}`)
        .catch((error: unknown) => String(error))
      times.push(performance.now() - startedAt)
      answers += 1
      if (!question.right.test(answer)) failures.push(answer.slice(0, 300))
      await pause(10)
    }
  })()
  return {
    async answered(times) {
      const before = answers
      await vi.waitFor(() => {
        if (answers < before + times) throw new Error(`${answers - before} of ${times} answers`)
      }, PATIENTLY)
    },
    async stop() {
      stopped.abort()
      await running
      const sorted = times.toSorted((a, b) => a - b)
      const [slowestMs = 0, medianMs = 0] = [sorted.at(-1), sorted[sorted.length >> 1]]
      return { answers, failures, slowestMs, medianMs }
    },
  }
}

export interface Question {
  readonly path: string
  readonly json?: unknown
  readonly right: RegExp
}

/** Goes the whole way: credential, record, gate, database. */
export const SELECT_ONE: Question = {
  path: '/api/v1/query',
  json: { sql: 'SELECT 1 AS one' },
  right: /^200 .*"rows":\[\[1\]\]/,
}
