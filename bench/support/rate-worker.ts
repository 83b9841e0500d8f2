/**
 * Sends one request at a fixed rate, whether or not the answers before it have come, and reports how long each took from
 * the moment it was due: what waits behind a slow one counts as slow, too.
 */
import { connect, type Socket } from 'node:net'

export interface RatePlan {
  readonly port: number
  readonly request: string
  readonly perSecond: number
  readonly warmupMs: number
  readonly durationMs: number
  /** Text every answer must hold. */
  readonly expect: string
}

export interface RateResult {
  /** Milliseconds. */
  readonly p50: number
  readonly p95: number
  readonly p99: number
  readonly max: number
  readonly answers: number
  readonly errors: number
}

process.once('message', (message) => {
  const plan = message as RatePlan
  const request = Buffer.from(plan.request)
  const free: Socket[] = []
  const latencies: number[] = []
  let errors = 0
  const startedAt = performance.now()
  const measureFrom = startedAt + plan.warmupMs
  const endsAt = measureFrom + plan.durationMs
  let sent = 0

  const timer = setInterval(() => {
    const now = performance.now()
    for (; startedAt + (sent * 1_000) / plan.perSecond <= now; sent += 1) {
      const dueAt = startedAt + (sent * 1_000) / plan.perSecond
      if (dueAt < endsAt) send(dueAt)
    }
    if (now > endsAt + 500) report()
  }, 1)

  function send(dueAt: number): void {
    const socket = free.pop() ?? connect({ port: plan.port, host: '127.0.0.1', noDelay: true })
    let text = ''
    const take = (chunk: Buffer): void => {
      text += chunk.toString('latin1')
      const head = text.indexOf('\r\n\r\n')
      const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, Math.max(0, head)))
      if (!length || text.length < head + 4 + Number(length[1])) return
      socket.off('data', take).off('error', failed)
      free.push(socket)
      if (dueAt < measureFrom) return
      latencies.push(performance.now() - dueAt)
      if (!text.includes(plan.expect)) errors += 1
    }
    const failed = (): void => {
      errors += 1
    }
    socket.on('data', take).on('error', failed)
    socket.write(request)
  }

  function report(): void {
    clearInterval(timer)
    latencies.sort((a, b) => a - b)
    const at = (share: number): number =>
      latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN
    const result: RateResult = {
      p50: at(0.5),
      p95: at(0.95),
      p99: at(0.99),
      max: at(1),
      answers: latencies.length,
      errors,
    }
    process.send?.(result, () => {
      process.exit(0)
    })
  }
})
