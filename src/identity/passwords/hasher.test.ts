import { describe, expect, it } from 'vitest'
import { Secret } from '../../lib/secret.ts'
import { PasswordHasher } from './hasher.ts'
import { WorkQueue } from './work-queue.ts'

const COST = { memoryKb: 19_456, timeCost: 2, parallelism: 1 }
const password = new Secret('correct horse battery staple')
const wrong = new Secret('correct horse battery stable')

describe('password hashes', () => {
  it('X9 are Argon2id with the configured parameters, and verify', async () => {
    const hasher = new PasswordHasher({ memoryKb: 8_192, timeCost: 3, parallelism: 2 })
    const hash = await hasher.hash(password)
    expect(hash).toMatch(/^\$argon2id\$v=19\$m=8192,t=3,p=2\$/)
    expect(await hasher.verify(password, hash ?? '')).toEqual({ matches: true, outdated: false })
    expect(await hasher.verify(wrong, hash ?? '')).toEqual({ matches: false, outdated: false })
  })

  it('X9 verify with their own parameters, and say when those are outdated', async () => {
    const old = await new PasswordHasher({ memoryKb: 8_192, timeCost: 1, parallelism: 1 }).hash(password)
    const hasher = new PasswordHasher(COST)
    expect(await hasher.verify(password, old ?? '')).toEqual({ matches: true, outdated: true })
    // Who does not know the password learns nothing about the hash, and changes nothing.
    expect(await hasher.verify(wrong, old ?? '')).toEqual({ matches: false, outdated: false })
  })

  it('X9 an unknown user costs the same time', async () => {
    const hasher = new PasswordHasher(COST, 1)
    const hash = (await hasher.hash(password)) ?? ''
    await hasher.verify(wrong, undefined)
    const times = { known: [] as number[], unknown: [] as number[] }
    for (let round = 0; round < 15; round += 1) {
      for (const kind of ['known', 'unknown'] as const) {
        const startedAt = performance.now()
        await hasher.verify(wrong, kind === 'known' ? hash : undefined)
        times[kind].push(performance.now() - startedAt)
      }
    }
    // The least of many: what the machine does beside only ever adds.
    const ratio = Math.min(...times.unknown) / Math.min(...times.known)
    expect(ratio).toBeGreaterThan(0.7)
    expect(ratio).toBeLessThan(1.4)
  })

  it('X9 a bounded number run at once; the rest waits, and beyond that is told to come back', async () => {
    const hasher = new PasswordHasher({ memoryKb: 1_024, timeCost: 1, parallelism: 1 }, 1)
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        hasher.verify(wrong, undefined, { address: `192.0.2.${index}` }),
      ),
    )
    expect(answers.filter((answer) => answer === null)).toHaveLength(200 - 129)
    expect(await hasher.verify(wrong, undefined)).toEqual({ matches: false, outdated: false })
  })
})

describe('the threads', () => {
  it('X9 leave the event loop free while every core hashes', async () => {
    const hasher = new PasswordHasher(COST, 2)
    let turns = 0
    const count = setInterval(() => (turns += 1), 1)
    const answers = await Promise.all(Array.from({ length: 12 }, () => hasher.verify(wrong, undefined)))
    clearInterval(count)
    expect(answers).toHaveLength(12)
    // Six rounds of some 20 ms: a loop that waited for them would have had a turn between two at most.
    expect(turns).toBeGreaterThan(24)
    await hasher.close()
  })

  it('X9 take an IPv6 /64 for one address', async () => {
    const hasher = new PasswordHasher({ memoryKb: 8, timeCost: 1, parallelism: 1 }, 1)
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        hasher.verify(wrong, undefined, { address: `2001:db8:1:2::${index + 1}` }),
      ),
    )
    expect(answers.filter((answer) => answer !== null)).toHaveLength(33)
    await hasher.close()
  })

  it('X9 hash nothing for somebody who is gone', async () => {
    const hasher = new PasswordHasher({ memoryKb: 4_194_304, timeCost: 64, parallelism: 1 }, 1)
    expect(await hasher.verify(wrong, undefined, { wanted: () => false })).toBeNull()
    await hasher.close()
  })

  it('X9 report a hash that is none, and go on', async () => {
    const hasher = new PasswordHasher({ memoryKb: 8, timeCost: 1, parallelism: 1 }, 1)
    await expect(hasher.verify(wrong, 'no hash at all')).rejects.toThrow('Argon2id')
    expect(await hasher.verify(wrong, '')).toEqual({ matches: false, outdated: false })
    await hasher.close()
  })
})

describe('the queue', () => {
  it('never runs more than its number, and starts them in order', async () => {
    const queue = new WorkQueue(2, 100, 100)
    const started: number[] = []
    let running = 0
    let most = 0
    await Promise.all(
      Array.from({ length: 10 }, (_, index) =>
        queue.run('a', async () => {
          started.push(index)
          most = Math.max(most, (running += 1))
          await new Promise(setImmediate)
          running -= 1
        }),
      ),
    )
    expect([most, started]).toEqual([2, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]])
  })

  it('leaves room for others while one owner floods it', async () => {
    const queue = new WorkQueue(1, 10, 3)
    const done: string[] = []
    const run = (owner: string): Promise<unknown> =>
      queue.run(owner, async () => {
        await new Promise(setImmediate)
        done.push(owner)
      })
    const answers = Promise.all([...Array.from({ length: 20 }, () => run('flood')), run('other')])
    await answers
    expect(done).toEqual(['flood', 'flood', 'other', 'flood', 'flood'])
  })

  it('lets the owner with the most waiting give way when no place is left', async () => {
    const queue = new WorkQueue(1, 4, 4)
    const done: string[] = []
    const run = (owner: string): Promise<unknown> =>
      queue.run(owner, async () => {
        await new Promise(setImmediate)
        done.push(owner)
        return owner
      })
    // One runs, four wait: a newcomer gets in, the flood's last one goes, and with all alike nobody gives way.
    const flood = Array.from({ length: 5 }, () => run('flood'))
    const others = ['a', 'b', 'c', 'd'].map(run)
    expect(await Promise.all(flood)).toEqual(['flood', 'flood', null, null, null])
    expect(await Promise.all(others)).toEqual(['a', 'b', 'c', null])
    expect(done).toEqual(['flood', 'flood', 'a', 'b', 'c'])
    expect(await run('flood')).toBe('flood')
  })

  it('goes on after a task that fails', async () => {
    const queue = new WorkQueue(1, 10, 10)
    const failing = queue.run('a', () => Promise.reject(new Error('no')))
    const next = queue.run('a', async () => await Promise.resolve('yes'))
    await expect(failing).rejects.toThrow('no')
    expect(await next).toBe('yes')
  })
})
