/**
 * The codes that the command line adds to those of refusals, faults and configuration problems. Each has
 * its line in `docs/cli.md`; a test compares the two.
 */
export const CLI_CODES = [
  'unknown_command',
  'unknown_option',
  'missing_value',
  'invalid_value',
  'repeated_option',
  'wrong_arguments',
  'usage',
  'unknown_database',
  'unknown_server',
  'admin_needed',
  'not_protectable',
  'input_ended',
  'invalid_answer',
  'cancelled',
  'audit_broken',
  'file_exists',
  'file_not_written',
  'backup_unusable',
  'store_in_use',
  'store_not_empty',
  'needs_root',
  'unit_unusable',
] as const

export type CliCode = (typeof CLI_CODES)[number]
