/** Why a backup or a restore was not done: expected, told to whoever asked, and nothing was changed. */
export interface BackupProblem {
  readonly code: 'backup_unusable' | 'file_exists' | 'file_not_written' | 'store_in_use' | 'store_not_empty'
  /** A sentence that says what to do. */
  readonly message: string
}

export const backupProblem = (code: BackupProblem['code'], message: string): BackupProblem => ({
  code,
  message,
})
