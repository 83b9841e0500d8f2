import { JWT_ALGORITHMS, type JwtAlgorithm } from '../src/identity/jwt/algorithm.ts'
import type { Settings } from '../src/config/settings.ts'
import { accountName } from './account-name.ts'
import type { Command, ExitCode, Given, Invocation } from './command.ts'

export const command: Command = {
  name: 'key-ring rotate',
  summary: 'sign the tokens (JWT) of people with a new key',
  description:
    'The old key still verifies what it signed, until the last of it has expired. A running gateway takes the keys ' +
    'over by itself.',
  options: [
    { name: 'now', summary: 'throw all older keys away, which ends every token and what is open with it' },
    {
      name: 'from',
      value: 'ALGORITHM',
      choices: JWT_ALGORITHMS,
      summary: 'keep the key of this algorithm, which signed before auth.jwt.algorithm was changed',
    },
  ],
  examples: [
    ['postern key-ring rotate', 'a new key, and nobody notices'],
    ['postern key-ring rotate --now', 'the old key is known to somebody: everybody signs in again'],
  ],
  run,
}

async function run(invocation: Invocation, given: Given): Promise<ExitCode> {
  const end = given.flag('now')
  const from = JWT_ALGORITHMS.find((name) => name === given.text('from'))
  if (end && from !== undefined) {
    return invocation.misuse(
      '--now throws older keys away and --from keeps one: leave one of them out',
      'usage',
    )
  }
  const { withAudit } = await import('./with-audit.ts')
  return await withAudit(invocation, given, async ({ settings, audit }) => {
    const [{ rotateKeys }, { keyJson, keyText }] = await Promise.all([
      import('../src/identity/jwt/rotate-keys.ts'),
      import('./key-shown.ts'),
    ])
    const now = invocation.clock.now()
    const { signing, retired } = await rotateKeys({
      ...(await sourcesOf(settings, from)),
      ttlSeconds: await longestLife(settings),
      end,
      now,
    })
    audit.record({
      kind: 'administration',
      outcome: 'done',
      at: now,
      principal: `local:${accountName()}`,
      wire: 'cli',
      action: end ? 'key_ring.rotate_now' : 'key_ring.rotate',
      target: signing.kid,
    })
    const keys = [
      { ...signing, status: 'signing' as const, until: null },
      ...retired.map(({ key: { kid, algorithm }, until }) => ({
        kid,
        algorithm,
        status: 'retired' as const,
        until,
      })),
    ]
    const effect = end
      ? 'Every token of a person has ended: they sign in again.'
      : retired.length === 0
        ? 'There was no key before.'
        : 'Tokens that were signed before are good until they expire.'
    invocation.answer(keys.map(keyJson), [...keys.map(keyText), '', effect].join('\n'))
    return 0
  })
}

async function sourcesOf(settings: Settings, from: JwtAlgorithm | undefined) {
  const [{ keySourceOf }, { peopleOptions }] = await Promise.all([
    import('../src/identity/jwt/options.ts'),
    import('../src/people-options.ts'),
  ])
  const { jwt } = peopleOptions(settings)
  const source = keySourceOf(jwt)
  if (from === undefined) return { source }
  const before = keySourceOf(jwt, from)
  // RS256 and EdDSA have one file: what is in there is kept anyway.
  return before.file === source.file ? { source } : { source, before }
}

/** A gateway that runs may have been started with another life of tokens than the file has now. */
async function longestLife(settings: Settings): Promise<number> {
  const { compareWithRunning } = await import('./running.ts')
  const { ttlSeconds } = settings.auth.jwt
  const running = await compareWithRunning(settings).catch(() => undefined)
  const before = Number(running?.changes.find(({ path }) => path === 'auth.jwt.ttlSeconds')?.before)
  return Number.isSafeInteger(before) ? Math.max(ttlSeconds, before) : ttlSeconds
}
