/** Sends the requests of one `LoadPlan` over plain sockets and reports how long the answers took. */
import { connect } from 'node:net'
import type { LoadPlan, LoadResult } from './load.ts'

process.once('message', (message) => {
  const plan = message as LoadPlan
  const request = Buffer.from(plan.request)
  const expected = Buffer.from(plan.expect)
  const latencies: number[] = []
  let errors = 0
  let allAnswers = 0
  let measuring = false
  let stopped = false

  for (let index = 0; index < plan.connections; index += 1) open()

  setTimeout(() => {
    measuring = true
    const startedAt = performance.now()
    setTimeout(() => {
      measuring = false
      stopped = true
      const seconds = (performance.now() - startedAt) / 1000
      latencies.sort((a, b) => a - b)
      const at = (share: number): number =>
        latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN
      const result: LoadResult = {
        perSecond: latencies.length / seconds,
        p50: at(0.5),
        p99: at(0.99),
        max: at(1),
        answers: latencies.length,
        allAnswers,
        errors,
      }
      process.send?.(result, () => {
        process.exit(0)
      })
    }, plan.durationMs)
  }, plan.warmupMs)

  function open(): void {
    const socket = connect({ port: plan.port, host: '127.0.0.1', noDelay: true })
    let received: Buffer = Buffer.alloc(0)
    let sentAt = 0
    const send = (): void => {
      if (stopped) return
      received = Buffer.alloc(0)
      sentAt = performance.now()
      socket.write(request)
    }
    socket.on('connect', send)
    socket.on('data', (chunk) => {
      received = received.length === 0 ? chunk : Buffer.concat([received, chunk])
      if (!isComplete(received)) return
      allAnswers += 1
      if (measuring) {
        latencies.push(performance.now() - sentAt)
        if (received.indexOf(expected) === -1) errors += 1
      }
      send()
    })
    socket.on('error', () => {
      if (!stopped) errors += 1
    })
    socket.on('close', () => {
      if (!stopped) {
        errors += 1
        setTimeout(open, 10)
      }
    })
  }
})

/** Whether an HTTP/1.1 answer has arrived whole: by its length, or by its last chunk. */
function isComplete(answer: Buffer): boolean {
  const headEnd = answer.indexOf('\r\n\r\n')
  if (headEnd === -1) return false
  const head = answer.toString('latin1', 0, headEnd).toLowerCase()
  const length = /\r\ncontent-length: *(\d+)/.exec(head)
  if (length) return answer.length >= headEnd + 4 + Number(length[1])
  if (head.includes('transfer-encoding: chunked'))
    return (
      answer.indexOf('0\r\n\r\n', headEnd) !== -1 && answer.subarray(-5).toString('latin1') === '0\r\n\r\n'
    )
  return true
}
