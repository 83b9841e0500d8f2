import type { OptionSpec } from './command.ts'

export const TOKEN_FILE_OPTION: OptionSpec = {
  name: 'token-file',
  value: 'FILE',
  summary: 'work on this token file as well as on the store',
  standard: 'auth.tokenFile of the configuration',
}
