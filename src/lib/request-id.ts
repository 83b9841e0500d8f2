import { randomFillSync } from 'node:crypto'
import { V7Generator } from 'uuidv7'

/** Asked of the system at once: one call for each id cost more than everything else about it. */
const pool = new Uint32Array(1_024)
let next = pool.length

const generator = new V7Generator({
  nextUint32() {
    if (next === pool.length) {
      randomFillSync(pool)
      next = 0
    }
    const value = pool[next] as number
    next += 1
    return value
  },
})

/** A UUIDv7 (RFC 9562 §5.7), which sorts by time. It names a request and is no secret. */
export const requestId = (): string => generator.generate().toString()
