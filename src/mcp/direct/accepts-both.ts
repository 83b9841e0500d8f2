/**
 * Whether a client says that it takes JSON as well as event streams, as every revision wants. The server chooses; a
 * client that takes only one of them, or does not say, needs an answer that was put into the form it reads.
 */
export const acceptsBoth = (accept: string | undefined): boolean =>
  accept !== undefined && JSON_TYPE.test(accept) && STREAM_TYPE.test(accept)

const JSON_TYPE = /(?:^|[\s,])(?:application\/json|application\/\*|\*\/\*)/i
const STREAM_TYPE = /(?:^|[\s,])(?:text\/event-stream|text\/\*|\*\/\*)/i
