/** A thread behind `hash-threads.ts`: one hash after the other. */
import { setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { hashSync, verifySync } from '@node-rs/argon2'
import type { HashReply, HashTask } from './hash-threads.ts'

/**
 * Behind the event loop, so that requests of others are answered while every core hashes, and still well ahead of what
 * is nice itself. Linux takes this for the thread alone; elsewhere it would be the whole process.
 */
const NICE = 5

/** The number of `Argon2id` in the library's enum, which types alone cannot import. */
const ARGON2ID = 2

if (process.platform === 'linux') setPriority(NICE)

parentPort?.on('message', (task: HashTask) => {
  let reply: HashReply
  try {
    if (task.kind === 'verify') reply = { matches: verifySync(task.hash, task.password) }
    else {
      const { memoryKb: memoryCost, timeCost, parallelism } = task.cost
      reply = { hash: hashSync(task.password, { memoryCost, timeCost, parallelism, algorithm: ARGON2ID }) }
    }
  } catch (error) {
    reply = { failed: error instanceof Error ? error.message : String(error) }
  }
  parentPort?.postMessage(reply)
})
