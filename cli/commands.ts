import type { Command } from './command.ts'

type Load = () => Promise<{ readonly command: Command }>

/** Every command under its heading, in the order of the help. Loaded only when it is called or listed. */
export const COMMAND_GROUPS: readonly (readonly [heading: string, Readonly<Record<string, Load>>])[] = [
  ['Gateway', { serve: () => import('./serve.ts') }],
  [
    'Tokens',
    {
      'token add': () => import('./token-add.ts'),
      'token list': () => import('./token-list.ts'),
      'token rotate': () => import('./token-rotate.ts'),
      'token remove': () => import('./token-remove.ts'),
    },
  ],
  [
    'People',
    {
      'user add': () => import('./user-add.ts'),
      'user list': () => import('./user-list.ts'),
      'user delete': () => import('./user-delete.ts'),
      'user reset-password': () => import('./user-reset-password.ts'),
      'user link': () => import('./user-link.ts'),
      'user unlink': () => import('./user-unlink.ts'),
      'user links': () => import('./user-links.ts'),
      'tenant add': () => import('./tenant-add.ts'),
      'tenant list': () => import('./tenant-list.ts'),
      'tenant delete': () => import('./tenant-delete.ts'),
      'key-ring list': () => import('./key-ring-list.ts'),
      'key-ring rotate': () => import('./key-ring-rotate.ts'),
    },
  ],
  ['Databases', { 'database protect': () => import('./database-protect.ts') }],
  [
    'Servers',
    {
      'server list': () => import('./server-list.ts'),
      'server credential set': () => import('./server-credential-set.ts'),
      'server credential list': () => import('./server-credential-list.ts'),
      'server credential remove': () => import('./server-credential-remove.ts'),
    },
  ],
  [
    'Configuration',
    {
      'config check': () => import('./config-check.ts'),
      'config import': () => import('./config-import.ts'),
      'config init': () => import('./config-init.ts'),
    },
  ],
  [
    'Record',
    {
      'audit search': () => import('./audit-search.ts'),
      'audit verify': () => import('./audit-verify.ts'),
    },
  ],
  [
    'Operations',
    {
      install: () => import('./install.ts'),
      backup: () => import('./backup.ts'),
      restore: () => import('./restore.ts'),
    },
  ],
  [
    'Questions',
    {
      'access explain': () => import('./access-explain.ts'),
      'sql check': () => import('./sql-check.ts'),
      selftest: () => import('./selftest.ts'),
    },
  ],
]

const LOADERS: ReadonlyMap<string, Load> = new Map(
  COMMAND_GROUPS.flatMap(([, group]) => Object.entries(group)),
)

export const COMMAND_NAMES: readonly string[] = [...LOADERS.keys()]

export async function loadCommand(name: string): Promise<Command | undefined> {
  return (await LOADERS.get(name)?.())?.command
}

export async function loadAllCommands(): Promise<readonly (readonly [string, readonly Command[]])[]> {
  return await Promise.all(
    COMMAND_GROUPS.map(async ([heading, group]) => {
      const loaded = await Promise.all(Object.values(group).map(async (load) => (await load()).command))
      return [heading, loaded] as const
    }),
  )
}
