import type { Clock } from '../../lib/clock.ts'
import { Fault } from '../../lib/fault.ts'
import type { Secret } from '../../lib/secret.ts'
import { boundedFetch } from './bounded-fetch.ts'
import type { LanguageModel } from './model.ts'

/** An endpoint that speaks the OpenAI chat completions API. */
export interface ModelOptions {
  /** Up to and including the version, such as `https://models.example/v1`. */
  readonly baseUrl: string
  readonly apiKey: Secret | null
  readonly model: string
  readonly timeoutMs: number
}

/** A statement is far shorter; the rest is room for models that think aloud. */
const MOST_TOKENS = 2_000
const MOST_CHARS = 20_000
const MOST_RESPONSE_BYTES = 1_000_000

/**
 * A language model behind HTTP. Nothing is loaded or asked before the first question, so that a gateway
 * without questions does not pay for it.
 */
export function openModel(options: ModelOptions, clock: Clock): LanguageModel {
  return {
    async write(prompt, signal) {
      signal.throwIfAborted()
      const late = new AbortController()
      const cancel = clock.after(options.timeoutMs, () => late.abort())
      try {
        const [{ generateText }, { createOpenAICompatible }] = await Promise.all([
          import('ai'),
          import('@ai-sdk/openai-compatible'),
        ])
        const provider = createOpenAICompatible({
          name: 'model',
          baseURL: options.baseUrl,
          ...(options.apiKey === null ? {} : { apiKey: options.apiKey.reveal() }),
          fetch: boundedFetch(MOST_RESPONSE_BYTES),
        })
        const { text } = await generateText({
          model: provider(options.model),
          instructions: prompt.instructions,
          prompt: prompt.text,
          maxOutputTokens: MOST_TOKENS,
          maxRetries: 0,
          abortSignal: AbortSignal.any([signal, late.signal]),
        })
        return text.slice(0, MOST_CHARS)
      } catch (cause) {
        signal.throwIfAborted()
        throw unavailable(cause, late.signal.aborted, options.timeoutMs)
      } finally {
        cancel()
      }
    },
  }
}

/** What the caller is told names neither the endpoint nor what it answered: that is for the log. */
function unavailable(cause: unknown, late: boolean, timeoutMs: number): Fault {
  const status = (cause as { statusCode?: unknown } | null)?.statusCode
  const what = late
    ? `did not answer within ${timeoutMs / 1000} s`
    : typeof status === 'number' && status >= 400
      ? `answered with status ${status}`
      : typeof status === 'number'
        ? 'gave an answer that cannot be read'
        : 'cannot be reached'
  return new Fault(
    'model_unavailable',
    `the language model ${what}: try again later, or write SQL instead of a question`,
    { cause, ...(status === 429 || status === 503 ? { retryAfterS: 10 } : {}) },
  )
}
