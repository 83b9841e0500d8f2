import type { EndReason, Lifelines } from '../identity/lifelines.ts'
import { Bag } from '../lib/bag.ts'
import type { RunningCall } from './running-call.ts'
import type { Session } from './session.ts'

/** A stream that outlives its request: it is told when its credential ends and when the tool list changed. */
export interface Listener {
  toolsChanged(): void
  end(reason: EndReason): void
}

/** Everything that one credential has open here. */
export class Holding {
  readonly calls = new Bag<RunningCall>()
  readonly sessions = new Set<Session>()
  readonly listeners = new Set<Listener>()
  release: () => void = () => {}

  get empty(): boolean {
    return this.calls.size === 0 && this.sessions.size === 0 && this.listeners.size === 0
  }
}

/**
 * What each credential has open, tied to the credential's life. A credential without anything open is not
 * remembered, so memory follows what runs and not who has called.
 */
export class Holdings {
  readonly #byCredential = new Map<string, Holding>()
  readonly #lifelines: Lifelines
  readonly #endSession: (session: Session) => void

  constructor(lifelines: Lifelines, endSession: (session: Session) => void) {
    this.#lifelines = lifelines
    this.#endSession = endSession
  }

  /** The holding to add to. Whoever takes something out calls `settle` afterwards. */
  of(credentialId: string): Holding {
    let holding = this.#byCredential.get(credentialId)
    if (!holding) {
      holding = new Holding()
      this.#byCredential.set(credentialId, holding)
      this.#hold(credentialId, holding)
    }
    return holding
  }

  peek(credentialId: string): Holding | undefined {
    return this.#byCredential.get(credentialId)
  }

  settle(credentialId: string, holding: Holding): void {
    if (!holding.empty || this.#byCredential.get(credentialId) !== holding) return
    this.#byCredential.delete(credentialId)
    holding.release()
  }

  toolsChanged(): void {
    for (const holding of this.#byCredential.values()) {
      for (const listener of holding.listeners) listener.toolsChanged()
    }
  }

  endAll(reason: EndReason): void {
    for (const [credentialId, holding] of this.#byCredential) {
      holding.release()
      this.#end(credentialId, holding, reason)
    }
  }

  #hold(credentialId: string, holding: Holding): void {
    holding.release = this.#lifelines.hold(credentialId, (reason) => {
      this.#end(credentialId, holding, reason)
    })
  }

  /**
   * Everything running stops and every stream closes, at once. After a mere change of the grant the
   * sessions stay: each of their requests is authenticated and decided anew, and the streams come back
   * under the new grant, having been told that the list of tools is another one.
   */
  #end(credentialId: string, holding: Holding, reason: EndReason): void {
    if (reason !== 'changed') this.#byCredential.delete(credentialId)
    for (const call of holding.calls) call.stop(reason)
    for (const listener of holding.listeners) {
      if (reason === 'changed') listener.toolsChanged()
      listener.end(reason)
    }
    if (reason !== 'changed') {
      for (const session of holding.sessions) this.#endSession(session)
      return
    }
    if (holding.empty) this.#byCredential.delete(credentialId)
    else this.#hold(credentialId, holding)
  }
}
