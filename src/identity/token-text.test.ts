import { expect, it } from 'vitest'
import { mayBeToken, newToken } from './token-text.ts'

it('knows the shape of what it makes, and says nothing about other texts', () => {
  const text = newToken().token.reveal()
  expect(mayBeToken(text)).toBe(true)
  expect(mayBeToken('chosen by a person')).toBe(true)
  for (const wrong of ['pst_', text.slice(0, -1), `${text}A`, `${text.slice(0, -1)}=`, `pst_${text}`]) {
    expect(mayBeToken(wrong)).toBe(false)
  }
})
