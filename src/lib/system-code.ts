/** What the system calls an error: `ENOENT`, `EACCES`; `undefined` for one that is not the system's. */
export const systemCode = (error: unknown): string | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined

export const hasCode = (error: unknown, code: string): boolean => systemCode(error) === code
