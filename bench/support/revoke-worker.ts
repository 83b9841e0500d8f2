/** A second process on the store of a running gateway: removes the tokens whose ids it is sent. */
import { openIdentity } from '../../src/identity/open.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { openStore } from '../../src/store/open.ts'

const file = process.argv[2]
if (file === undefined) throw new Error('the store file is missing')
const parts = { clock: systemClock, observe: () => undefined }
const store = await openStore({ kind: 'sqlite', file }, parts)
const identity = await openIdentity({
  ...parts,
  store,
  staticTokens: [],
  tokenFile: null,
  enabled: true,
  tenantDefault: 'default',
  purpose: 'manage',
})
process.on('message', (id) => {
  void identity.tokens.remove(String(id)).then((removed) => {
    if (!removed.ok) throw new Error(removed.error.message)
    process.send?.('removed')
  })
})
process.send?.('ready')
