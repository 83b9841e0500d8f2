import { memberPath } from '../node.ts'
import { choice, flag, moment, names, path, secret, text, whole } from '../leaves.ts'
import type { AuthSettings, StaticTokenSettings } from '../settings.ts'
import { mapped, named, optional, section } from '../spec.ts'
import { oidc } from './oidc.ts'

/** Shorter ones can be found by trying. */
const SHORTEST_TOKEN = 16

/** What may follow `Bearer ` (RFC 6750 §2.1, `b64token`). */
const BEARER = /^[A-Za-z0-9._~+/-]+=*$/

const token = section(
  'One token: its value, or the keys below.',
  {
    value: optional(
      secret('The token itself; `$env:NAME` keeps it out of the file.', { example: '$env:CI_TOKEN' }),
    ),
    hash: optional(
      secret('SHA-256 of the token as 64 hex digits, in place of `value`.', {
        harmless: () => true,
      }),
    ),
    level: choice(
      'What the token may do; each level includes the ones before it.',
      ['read-only', 'read-write', 'admin'],
      {
        standard: 'read-only',
      },
    ),
    owner: optional(
      text('The person or service it belongs to.', { example: 'ci@example.com' }),
      'the name of the token',
    ),
    tenant: text('The tenant it belongs to.', { standard: 'default' }),
    scopes: names('Scopes it is limited to.', { standard: 'all' }),
    servers: names('Upstream servers it is limited to.', { standard: 'all' }),
    databases: names('Databases it is limited to; the first one is its default.', { standard: 'all' }),
    expiresAt: optional(moment('When it stops being valid.', { example: '2030-01-31' }), 'never'),
  },
  { shorthand: 'value' },
)

/** What stands before `.tenant_id` in a claim. */
const wrongNamespace = (word: string): string | undefined =>
  /^[A-Za-z][A-Za-z0-9_:/.-]{0,127}$/.test(word)
    ? undefined
    : 'must begin with a letter and hold letters, digits and _ : / . - only'

const jwt = section('The tokens (JWT) of people who sign in.', {
  algorithm: choice(
    'How they are signed: with a secret, or with a private key whose public half others may have (`/.well-known/jwks.json`).',
    ['HS256', 'RS256', 'EdDSA'],
    { standard: 'HS256' },
  ),
  secretFile: optional(
    path(
      'File with the secret that signs them with HS256: 64 random bytes, made with mode 0600 when it is missing.',
      { example: '/etc/postern/jwt.secret' },
    ),
    '`jwt.secret` in `dataDir`',
  ),
  keyFile: optional(
    path(
      'File with the private key that signs them with RS256 or EdDSA: PKCS#8 PEM, made with mode 0600 when it is missing.',
      { example: '/etc/postern/jwt.key' },
    ),
    '`jwt.key` in `dataDir`',
  ),
  ttlSeconds: whole('How long one is good, in seconds.', { min: 60, max: 2_592_000 }, { standard: 3_600 }),
  namespace: text('What the names of our own claims begin with.', {
    standard: 'postern',
  }),
  issuer: text('`iss`: who issues them; others are refused.', { standard: 'postern' }),
  audience: text('`aud`: for whom they are; others are refused.', { standard: 'postern' }),
})

const argon2 = section(
  'What hashing a password costs (Argon2id). Older hashes are renewed at the next sign-in.',
  {
    memoryKb: whole('Memory in KiB.', { min: 8_192, max: 4_194_304 }, { standard: 19_456 }),
    timeCost: whole('Passes over the memory.', { min: 1, max: 64 }, { standard: 2 }),
    parallelism: whole('Threads of one hash.', { min: 1, max: 64 }, { standard: 1 }),
  },
)

const passwords = section('What a new password has to be. It may never be the user name.', {
  minBytes: whole('Least number of bytes.', { min: 8, max: 256 }, { standard: 12 }),
  refuseCommon: flag('Refuse passwords that attackers try first.', { standard: true }),
  commonFile: optional(
    path(
      'A list of your own of passwords to refuse: UTF-8, one a line, at most 16 MiB. SIGHUP reads it again.',
      {
        example: './passwords.txt',
      },
    ),
  ),
  commonFileMode: choice(
    '`add`: beside the list that comes with Postern. `replace`: in its place.',
    ['add', 'replace'],
    { standard: 'add' },
  ),
})

const fields = section(
  'Who may call.',
  {
    enabled: flag('Whether a credential is needed. `false` works on loopback addresses only.', {
      standard: true,
    }),
    tokens: named('Tokens by name. Logs, the audit and metrics show the name only.', token),
    tokenFile: optional(
      path('A token file that is watched and written.', {
        example: './tokens.yaml',
      }),
    ),
    jwt,
    argon2,
    passwords,
    oidc,
  },
  { later: ['oauth'] },
)

export const auth = mapped(fields, (value, place, context): AuthSettings | undefined => {
  const tokens: StaticTokenSettings[] = []
  const owners = new Map<string, string>()
  let complete = true
  for (const { name, value: given } of value.tokens) {
    const key = memberPath('auth.tokens', name)
    const at = context.places.get(key) ?? place
    const { value: plain, hash: hashSecret, ...rest } = given
    const hash = hashSecret?.reveal().toLowerCase() ?? null
    if ((plain === null) === (hash === null)) {
      const which = plain === null ? 'needs a value or a hash' : 'has a value and a hash: keep one'
      context.report.problem(plain === null ? 'config_missing' : 'config_conflict', at, which)
      complete = false
      continue
    }
    if (hash !== null && !/^[0-9a-f]{64}$/.test(hash)) {
      context.report.problem('config_bad_value', at, 'has a hash that is not 64 hex digits (SHA-256)')
      complete = false
    }
    if (plain && !BEARER.test(plain.reveal())) {
      const rule = 'has a value that no client can send: use letters, digits and . _ ~ + / -'
      context.report.problem('config_bad_value', at, rule)
      complete = false
    } else if (plain && plain.reveal().length < SHORTEST_TOKEN) {
      const rule = `has a value of fewer than ${SHORTEST_TOKEN} characters, which can be guessed: "postern token add" makes a good one`
      context.report.warning('config_insecure', at, rule)
    }
    const identity = plain ? `value ${plain.reveal()}` : `hash ${hash}`
    const other = owners.get(identity)
    if (other !== undefined) {
      context.report.problem(
        'config_conflict',
        at,
        `is the same token as auth.tokens.${other}: each needs its own`,
      )
      complete = false
    }
    owners.set(identity, name)
    if (rest.expiresAt !== null && rest.expiresAt <= context.now)
      context.report.warning('config_ignored', at, 'has expired: it lets nobody in')
    tokens.push({ ...rest, name, value: plain, hash, owner: rest.owner ?? name })
  }
  if (value.passwords.commonFile !== null && !value.passwords.refuseCommon) {
    const at = context.places.get('auth.passwords.commonFile') ?? place
    context.report.warning('config_ignored', at, 'counts for nothing while refuseCommon is false')
  }
  const namespaceProblem = wrongNamespace(value.jwt.namespace)
  if (namespaceProblem !== undefined) {
    const at = context.places.get('auth.jwt.namespace') ?? place
    context.report.problem('config_bad_value', at, namespaceProblem)
    complete = false
  }
  return complete ? { ...value, tokens } : undefined
})
