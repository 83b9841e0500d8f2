import type { Params } from '../../../lib/json-rpc.ts'
import type { Ask, OutgoingRequest } from '../../../upstreams/conversation.ts'

/** A person who is asked something must know which of many servers asks. Sampling and roots name nobody. */
export const namedAsk =
  (server: string, ask: Ask): Ask =>
  (method, params, signal, name) =>
    ask(
      method,
      method === 'elicitation/create' && typeof params['message'] === 'string'
        ? { ...params, message: `${server}: ${params['message']}` }
        : params,
      signal,
      name,
    )

/** Log messages say which server they come from, in the field that is there for it. */
export function namedParams(server: string, method: string, params: Params): Params {
  if (method !== 'notifications/message') return params
  const { logger } = params
  return { ...params, logger: typeof logger === 'string' && logger !== '' ? `${server}/${logger}` : server }
}

/** The callbacks of a request that goes to one server of many. */
export function namedCallbacks(
  server: string,
  { ask, onNotification }: Pick<OutgoingRequest, 'ask' | 'onNotification'>,
): Pick<OutgoingRequest, 'ask' | 'onNotification'> {
  return {
    ...(ask === undefined ? {} : { ask: namedAsk(server, ask) }),
    ...(onNotification === undefined
      ? {}
      : {
          onNotification: (method, params) => {
            onNotification(method, namedParams(server, method, params))
          },
        }),
  }
}
