import type { Settings } from './settings.ts'

/** What a running gateway takes over of a changed configuration; everything else needs a restart. */
const TAKEN_OVER = ['auth.tokens', 'mcpServers'] as const

/** Whether a change (by the path of a `Change`) is in force without a restart. */
export const isTakenOver = (path: string): boolean =>
  TAKEN_OVER.some((part) => path === part || path.startsWith(`${part}.`) || path === `${part} (order)`)

/** The settings that are in force once a gateway that runs with one configuration has taken over another. */
export function inForce(running: Settings, changed: Settings): Settings {
  return {
    ...running,
    auth: { ...running.auth, tokens: changed.auth.tokens },
    mcpServers: changed.mcpServers,
  }
}
