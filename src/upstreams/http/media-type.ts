const typeOf = (contentType: string | string[] | undefined): string | undefined =>
  (typeof contentType === 'string' ? contentType : contentType?.[0])?.split(';', 1)[0]?.trim().toLowerCase()

export const isEventStream = (contentType: string | string[] | undefined): boolean =>
  typeOf(contentType) === 'text/event-stream'

export const isJson = (contentType: string | string[] | undefined): boolean =>
  typeOf(contentType) === 'application/json'
