import { choice, duration, secret, text, webUrl, whole } from '../leaves.ts'
import type { AuditSettings, ModelSettings } from '../settings.ts'
import { mapped, optional, section } from '../spec.ts'

const SECOND = 1_000
const DAY = 86_400_000

export const audit = mapped(
  section('The record of who did what.', {
    bufferEvents: whole(
      'Entries held in memory before callers wait for the disk.',
      { min: 1, max: 1_000_000 },
      { standard: 10_000 },
    ),
    flushInterval: duration(
      'Longest time an entry stays in memory; what a crash can lose.',
      { min: 1, max: 60 * SECOND },
      { standard: '50ms' },
    ),
    retention: duration(
      'Entries are kept for this time.',
      { min: DAY, max: 36_500 * DAY },
      { standard: '365d' },
    ),
  }),
  ({ bufferEvents, flushInterval, retention }): AuditSettings => ({
    bufferEvents,
    flushIntervalMs: flushInterval,
    retentionMs: retention,
  }),
)

export const model = optional(
  mapped(
    section(
      'Language model that turns questions into SQL; any endpoint that speaks the OpenAI chat completions API.',
      {
        baseUrl: webUrl('URL of the API, up to and without `/chat/completions`.', {
          example: 'http://127.0.0.1:11434/v1',
        }),
        apiKey: optional(secret('Key of the API.', { example: '$env:MODEL_API_KEY' })),
        model: text('Name of the model.', { example: 'qwen3' }),
        timeout: duration(
          'How long one answer may take.',
          { min: SECOND, max: 3_600 * SECOND },
          { standard: '60s' },
        ),
      },
    ),
    ({ timeout, ...value }): ModelSettings => ({ ...value, timeoutMs: timeout }),
  ),
)

export const log = section('What Postern writes to standard error.', {
  level: choice('Least important line that is written.', ['debug', 'info', 'warn', 'error'], {
    standard: 'info',
  }),
  format: choice('One JSON document a line, or text for people.', ['json', 'text'], { standard: 'json' }),
})
