import { type Call, connectWay, type WayName } from './ways.ts'

/** Calls until the server is used again after a failure, and answers what calls it. */
export async function callWhenBack(url: string, token: string, way: WayName): Promise<Call> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const call = await connectWay(url, token, way)
      if ((await call('echo')).code === 'ok') return call
    } catch {
      // Left alone for a while.
    }
    if (attempt === 60) throw new Error(`${way} does not come back`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
