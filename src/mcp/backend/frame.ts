import type { Params, RequestId } from '../message.ts'

const withParams = (params: Params): string => {
  const text = JSON.stringify(params)
  return text === '{}' ? '' : `,"params":${text}`
}

/** Serialises a notification; empty params are left out. */
export const notificationText = (method: string, params: Params): string =>
  `{"jsonrpc":"2.0","method":${JSON.stringify(method)}${withParams(params)}}`

/** Serialises a request of ours. */
export const requestText = (id: RequestId, method: string, params: Params): string =>
  `{"jsonrpc":"2.0","id":${JSON.stringify(id)},"method":${JSON.stringify(method)}${withParams(params)}}`
