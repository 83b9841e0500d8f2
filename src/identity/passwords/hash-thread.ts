/** A thread behind `hash-threads.ts`: one hash after the other. */
import { getPriority, setPriority } from 'node:os'
import { parentPort } from 'node:worker_threads'
import { hashSync, verifySync } from '@node-rs/argon2'
import type { HashReply, HashTask } from './hash-threads.ts'

/**
 * So much nicer than the event loop, which answers others while every core hashes. Linux takes this for the thread alone;
 * elsewhere it would be the whole process.
 */
const NICER = 5
const NICEST = 19

/** The number of `Argon2id` in the library's enum, which types alone cannot import. */
const ARGON2ID = 2

if (process.platform === 'linux') setPriority(Math.min(NICEST, getPriority() + NICER))

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
