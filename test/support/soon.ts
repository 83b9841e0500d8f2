import { expect } from 'vitest'

/** Expects of a value what will be true soon: polls, patiently enough for a machine that does ten other things. */
export const soon = <T>(read: () => T) => expect.poll(read, { timeout: 20_000, interval: 10 })
