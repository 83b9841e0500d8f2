import { Server } from 'node:net'
import type { AddressInfo } from 'node:net'

/**
 * Loaded before a program that listens on every interface of the machine and on a port it was told: now it
 * listens on 127.0.0.1, on a port that is free, and says on which.
 */
const { listen } = Server.prototype as { readonly listen: (...args: unknown[]) => Server }

function listenLocally(this: Server, ...args: unknown[]): Server {
  this.once('listening', () => {
    process.stdout.write(`listening on port ${(this.address() as AddressInfo).port}\n`)
  })
  const callbacks = args.filter((arg) => typeof arg === 'function')
  return listen.call(this, { port: 0, host: '127.0.0.1' }, ...callbacks)
}

Object.assign(Server.prototype, { listen: listenLocally })
