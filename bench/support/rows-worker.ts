/** Reads all rows of one statement without a gateway, once, after a small statement has warmed the connection. */
import type { Socket } from 'node:net'
import { Client } from 'pg'

export interface RowsPlan {
  readonly url: string
  readonly sql: string
  /** `pg`: as objects, then as one JSON text. `copy`: as CSV, of which nothing is kept. */
  readonly way: 'pg' | 'copy'
}

export interface RowsResult {
  readonly seconds: number
  readonly bytes: number
  readonly aboveIdleMib: number
}

const COPY_DONE = 0x63
const HEADER_BYTES = 5

process.once('message', (message) => {
  void run(message as RowsPlan)
})

async function run({ url, sql, way }: RowsPlan): Promise<void> {
  const client = new Client({ connectionString: url })
  await client.connect()
  await client.query('SELECT 1')
  const idle = process.memoryUsage.rss()
  const startedAt = performance.now()
  const bytes =
    way === 'copy'
      ? await copy((client as unknown as { connection: { stream: Socket } }).connection.stream, sql)
      : Buffer.byteLength(JSON.stringify((await client.query(sql)).rows))
  const seconds = (performance.now() - startedAt) / 1_000
  const result: RowsResult = {
    seconds,
    bytes,
    aboveIdleMib: (process.resourceUsage().maxRSS * 1024 - idle) / 2 ** 20,
  }
  process.send?.(result, () => {
    process.exit(0)
  })
}

/** `COPY … TO STDOUT` by the simple protocol; of each message only the header is looked at. */
function copy(socket: Socket, sql: string): Promise<number> {
  const text = Buffer.from(`COPY (${sql}) TO STDOUT WITH (FORMAT csv, HEADER)\0`)
  const head = Buffer.alloc(HEADER_BYTES)
  head.write('Q')
  head.writeInt32BE(text.length + 4, 1)
  socket.removeAllListeners('data')
  return new Promise((resolve, reject) => {
    let bytes = 0
    let skip = 0
    let rest = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      const data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
      let at = skip
      while (at + HEADER_BYTES <= data.length) {
        const type = data[at]
        if (type === COPY_DONE) {
          resolve(bytes)
          return
        }
        if (type === 0x45) {
          reject(new Error(data.toString('utf8', at)))
          return
        }
        at += 1 + data.readInt32BE(at + 1)
      }
      skip = Math.max(0, at - data.length)
      rest = skip > 0 ? Buffer.alloc(0) : Buffer.from(data.subarray(at))
    })
    socket.write(Buffer.concat([head, text]))
  })
}
