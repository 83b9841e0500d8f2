import type { Fault } from '../lib/fault.ts'

/**
 * The cause of a fault in one sentence for the operator: what happened and what to do. It may name settings and
 * addresses, which the fault's own message must not tell a caller; never credentials, nor what a server sent.
 */
export class Problem extends Error {
  constructor(sentence: string) {
    super(sentence)
    this.name = 'Problem'
  }
}

/** What the operator is told of a fault. */
export const problemOf = (fault: Fault): string =>
  fault.cause instanceof Problem ? fault.cause.message : fault.message
