import type { Fault } from '../lib/fault.ts'

/**
 * The cause of a fault in one sentence for the operator: what happened and what to do. It may name settings and
 * addresses, which the fault's own message must not tell a caller; never credentials, nor what a server sent.
 */
export class Problem extends Error {
  /** There was no connection at all, so nothing that a caller sent can be the reason. */
  readonly unconnected: boolean

  constructor(sentence: string, { unconnected = false }: { readonly unconnected?: boolean } = {}) {
    super(sentence)
    this.name = 'Problem'
    this.unconnected = unconnected
  }
}

/** Whether a fault is that no connection came about, whoever calls. */
export const isUnconnected = (fault: Fault): boolean =>
  fault.cause instanceof Problem && fault.cause.unconnected

/** What the operator is told of a fault. */
export const problemOf = (fault: Fault): string =>
  fault.cause instanceof Problem ? fault.cause.message : fault.message
