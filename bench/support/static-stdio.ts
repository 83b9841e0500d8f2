/** The static server over stdio, for gateways that can reach nothing else. */
import { createInterface } from 'node:readline'
import { answerTo } from './static-server.ts'

for await (const line of createInterface({ input: process.stdin })) {
  if (line === '') continue
  const answer = answerTo(JSON.parse(line) as Parameters<typeof answerTo>[0], false)
  if (answer !== undefined) process.stdout.write(`${JSON.stringify(answer)}\n`)
}
