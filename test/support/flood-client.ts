import { connect } from 'node:net'
import { head } from './raw-http.ts'

/**
 * Floods a server with a chunked body from a process of its own, so that what the client buffers is not
 * counted as the server's. Prints the status of the reply.
 */
const [port = '', token = '', megabytes = ''] = process.argv.slice(2)

const socket = connect(Number(port), '127.0.0.1')
let reply = ''
socket.on('data', (data) => (reply += data.toString('latin1')))
socket.on('error', () => {})
socket.on('close', () => {
  process.stdout.write(/^HTTP\/1\.1 (\d{3})/.exec(reply)?.[1] ?? 'none')
})

const chunk = `100000\r\n${' '.repeat(1_048_576)}\r\n`
let left = Number(megabytes)
const more = (): void => {
  while (left > 0 && !socket.destroyed) {
    left -= 1
    if (!socket.write(chunk)) {
      socket.once('drain', more)
      return
    }
  }
  socket.end('0\r\n\r\n')
}
socket.write(
  head('POST /api/v1/query', [
    `Authorization: Bearer ${token}`,
    'Content-Type: application/json',
    'Transfer-Encoding: chunked',
  ]),
)
more()
