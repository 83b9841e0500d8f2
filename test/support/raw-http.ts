import { connect, type Socket } from 'node:net'

/** What came back on a connection, split at the first blank line. */
export interface RawReply {
  readonly status: number
  readonly head: string
  readonly body: string
  /** Everything, for connections that carried several replies. */
  readonly all: string
  /** True when the connection ended by itself rather than by the deadline. */
  readonly closed: boolean
}

/** Sends bytes as they are and collects the answer until the server closes, or nothing more comes. */
export async function sendRaw(
  port: number,
  pieces: string | Buffer | readonly (string | Buffer)[],
  options: { readonly quietMs?: number } = {},
): Promise<RawReply> {
  const socket = connect({ port, host: '127.0.0.1' })
  const chunks: Buffer[] = []
  const closed = await new Promise<boolean>((resolve) => {
    let quiet = setTimeout(() => resolve(false), 20_000)
    socket.on('data', (chunk) => {
      chunks.push(chunk)
      clearTimeout(quiet)
      quiet = setTimeout(() => resolve(false), options.quietMs ?? (isWhole(chunks) ? 20 : 500))
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(quiet)
      resolve(true)
    })
    void writeAll(
      socket,
      Array.isArray(pieces) ? (pieces as (string | Buffer)[]) : [pieces as string | Buffer],
    )
  })
  socket.destroy()
  const all = Buffer.concat(chunks).toString('utf8')
  const split = all.indexOf('\r\n\r\n')
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(all)?.[1] ?? 0),
    head: split === -1 ? all : all.slice(0, split),
    body: split === -1 ? '' : all.slice(split + 4),
    all,
    closed,
  }
}

/** One reply of known length on a connection that stays open: nothing more is to be waited for. */
function isWhole(chunks: readonly Buffer[]): boolean {
  const text = Buffer.concat(chunks).toString('latin1')
  const split = text.indexOf('\r\n\r\n')
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(text.slice(0, split + 2))?.[1]
  if (length === undefined || /\r\nconnection: close\r\n/i.test(text.slice(0, split + 2))) return false
  return text.length === split + 4 + Number(length)
}

async function writeAll(socket: Socket, pieces: readonly (string | Buffer)[]): Promise<void> {
  for (const piece of pieces) {
    if (socket.destroyed) return
    if (!socket.write(piece)) {
      await new Promise<void>((resolve) => {
        const go = (): void => {
          socket.off('drain', go).off('close', go)
          resolve()
        }
        socket.on('drain', go).on('close', go)
      })
    }
  }
}

/** A request head with `Host: localhost`, unless other lines are given. */
export const head = (line: string, headers: readonly string[] = []): string =>
  [
    `${line} HTTP/1.1`,
    ...(headers.some((one) => /^host:/i.test(one)) ? [] : ['Host: localhost']),
    ...headers,
    '',
    '',
  ].join('\r\n')
