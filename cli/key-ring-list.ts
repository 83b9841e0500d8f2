import type { Command } from './command.ts'

export const command: Command = {
  name: 'key-ring list',
  summary: 'list the keys of the tokens (JWT) of people',
  description:
    'The key that signs, and the retired ones that still verify what they signed. Never a key itself.',
  async run(invocation, given) {
    const { readSettings } = await import('./read-settings.ts')
    const read = await readSettings(invocation, given, 'administer')
    if (!read.ok) return read.error
    const [{ listKeys }, { keySourceOf }, { peopleOptions }, { keyJson, keyText }] = await Promise.all([
      import('../src/identity/jwt/list-keys.ts'),
      import('../src/identity/jwt/options.ts'),
      import('../src/people-options.ts'),
      import('./key-shown.ts'),
    ])
    const keys = await listKeys(keySourceOf(peopleOptions(read.value.settings).jwt), invocation.clock.now())
    invocation.answer(
      keys.map(keyJson),
      keys.length === 0
        ? 'There is no key yet: the gateway makes one as it starts.'
        : keys.map(keyText).join('\n'),
    )
    return 0
  },
}
