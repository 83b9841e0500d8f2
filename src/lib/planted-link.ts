import { lstatSync } from 'node:fs'
import { dirname } from 'node:path'

/** A symbolic link that root must not follow; the message goes after the name of the file. */
export class PlantedLink extends Error {
  readonly code = 'ELOOP'
}

/**
 * Root follows no link that another user has made. In the directory of a service, its account makes them: one that was
 * taken over would have root read, replace and give away any file of the machine (a link to `/etc/shadow`, a dangling
 * one to `/etc/ld.so.preload`).
 *
 * @param path absolute; each directory on the way is looked at, too
 * @throws PlantedLink
 */
export function refusePlantedLink(path: string): void {
  if (process.geteuid?.() !== 0) return
  for (let at = path; ; at = dirname(at)) {
    const found = lstatSync(at, { throwIfNoEntry: false })
    if (found?.isSymbolicLink() === true && found.uid !== 0)
      throw new PlantedLink(`${at} is a link that another user has made, and root does not follow it`)
    if (at === dirname(at)) return
  }
}
