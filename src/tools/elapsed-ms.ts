/** Milliseconds with microseconds, as the record keeps them. */
export const elapsedMs = (startedAt: number): number =>
  Math.round((performance.now() - startedAt) * 1000) / 1000
