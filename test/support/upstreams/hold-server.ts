/** Starts the unruly server, says its process id, and waits to be killed. */
import { callText, converse, openTestUpstreams, stdioUpstream } from './stdio-upstreams.ts'

const upstreams = openTestUpstreams([stdioUpstream('unruly')])
process.stdout.write(`${await callText(await converse(upstreams, 'unruly'), 'pid')}\n`)
setInterval(() => undefined, 1_000)
