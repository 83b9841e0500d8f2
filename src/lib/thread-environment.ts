import { getCompileCacheDir } from 'node:module'

/**
 * The environment for a thread: nothing of the process's, where secrets are, but its compile cache, which a thread
 * does not have by itself. Without it, Node loads in each thread what takes the types off the sources, and keeps it:
 * 15 MB.
 */
export function threadEnvironment(): { readonly NODE_COMPILE_CACHE?: string } {
  const folder = getCompileCacheDir()
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: folder }
}
