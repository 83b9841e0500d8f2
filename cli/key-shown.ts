import type { ListedKey } from '../src/identity/jwt/list-keys.ts'
import { shortTime } from './moment.ts'

export const keyJson = ({ kid, algorithm, status, until }: ListedKey) => ({
  kid,
  algorithm,
  status,
  until: until === null ? null : new Date(until).toISOString(),
})

export const keyText = ({ kid, algorithm, status, until }: ListedKey): string =>
  [kid, algorithm, status, ...(until === null ? [] : [`until ${shortTime(until)} UTC`])].join('  ')
