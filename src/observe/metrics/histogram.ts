/** Upper bounds in seconds: from a refusal that never left the process to a tool that thinks for a minute. */
export const BUCKETS_S = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
] as const

/** How often something took how long. */
export class Histogram {
  /** For each bucket how many fell into it and no lower one; the last is for what took longer than all. */
  readonly counts = new Float64Array(BUCKETS_S.length + 1)
  sumS = 0

  observeMs(durationMs: number): void {
    const durationS = durationMs / 1_000
    let at = 0
    while (at < BUCKETS_S.length && durationS > (BUCKETS_S[at] as number)) at += 1
    this.counts[at] = (this.counts[at] as number) + 1
    this.sumS += durationS
  }
}
