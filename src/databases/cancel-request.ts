import { connect as connectTcp, isIP } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import type { Clock } from '../lib/clock.ts'
import type { Encryption } from './tls.ts'

export interface CancelTarget {
  readonly host: string
  readonly port: number
  readonly encryption: Encryption
  readonly processID: number
  readonly secretKey: number
}

const CANCEL_CODE = 80_877_102
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])
const SSL_YES = 0x53

/**
 * Asks the server to stop what a backend runs (PostgreSQL manual, "Canceling Requests in Progress"). The
 * key travels encrypted where the connection was. Never fails: the statement timeout is behind it.
 *
 * @returns whether the server took it; what it does with it, it does not say
 */
export function cancelRequest(target: CancelTarget, clock: Clock, timeoutMs: number): Promise<boolean> {
  const message = Buffer.alloc(16)
  message.writeInt32BE(16, 0)
  message.writeInt32BE(CANCEL_CODE, 4)
  message.writeInt32BE(target.processID, 8)
  message.writeInt32BE(target.secretKey, 12)

  return new Promise((resolve) => {
    const { host, port, encryption } = target
    let taken = false
    const socket = host.startsWith('/')
      ? connectTcp(`${host}/.s.PGSQL.${port}`)
      : connectTcp({ host, port, noDelay: true })
    const stopTimer = clock.after(timeoutMs, () => {
      socket.destroy()
    })
    const send = (stream: Duplex): void => {
      stream.on('error', () => socket.destroy())
      stream.on('data', () => undefined)
      // It hangs up when it has passed the request on.
      stream.once('end', () => {
        taken = true
      })
      stream.end(message)
    }
    socket.on('error', () => socket.destroy())
    socket.once('close', () => {
      stopTimer()
      resolve(taken)
    })
    socket.once('connect', () => {
      if (encryption === false) {
        send(socket)
        return
      }
      socket.once('data', (answer) => {
        if (answer.length !== 1 || answer[0] !== SSL_YES) {
          socket.destroy()
          return
        }
        const name = isIP(host) === 0 ? { servername: host } : {}
        const secure = connectTls({ ...encryption, ...name, socket, host }, () => {
          send(secure)
        })
        secure.on('error', () => socket.destroy())
      })
      socket.write(SSL_REQUEST)
    })
  })
}
