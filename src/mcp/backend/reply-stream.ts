import type { ServerResponse } from 'node:http'
import type { Params } from '../message.ts'
import type { Ask } from '../../upstreams/conversation.ts'

/** What can be said to a client about a request before it is answered. */
export interface ReplyStream {
  /** False where the client takes nothing but the answer: then nothing needs to be asked of the server. */
  readonly tells: boolean
  /** @param dispensable may be left out when the client reads too slowly */
  notify(method: string, params: Params, dispensable: boolean): void
  readonly ask?: Ask
  /** The reply's connection: when it closes first, nobody is left to answer. */
  readonly response: ServerResponse | undefined
  /** The client may come back for the answer: a lost connection then does not end the request. */
  resumable(): boolean
}

/** For a client that takes one JSON answer and nothing else. */
export const onlyAnswer = (response: ServerResponse | undefined): ReplyStream => ({
  tells: false,
  notify() {},
  response,
  resumable: () => false,
})
