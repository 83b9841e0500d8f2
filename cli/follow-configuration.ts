import type { Gateway } from '../src/gateway.ts'
import { type Change, difference, SECRET } from '../src/config/difference.ts'
import type { Settings } from '../src/config/settings.ts'
import { inForce, isTakenOver } from '../src/config/take-over.ts'
import { watchSettings } from '../src/config/watch.ts'
import { err, type Result } from '../src/lib/result.ts'
import type { Observation, Observe } from '../src/observe/observation.ts'
import type { Given, Invocation } from './command.ts'
import { loadForReload, type ReadSettings } from './read-settings.ts'

/**
 * Reads the configuration again when its file changes, and on SIGHUP (what it refers to, such as the
 * environment or another file, is not watched). What differs is told before it is taken over. One that cannot be
 * used changes nothing: the log says all that is wrong with it. The returned function ends this.
 *
 * @param taken told what is in force after each change
 */
export function followConfiguration(
  invocation: Invocation,
  given: Given,
  started: ReadSettings,
  gateway: Pick<Gateway, 'reload'>,
  observe: Observe,
  taken: (settings: Settings) => void = () => undefined,
): () => void {
  let digestInForce = started.digest
  let running = started.settings
  let turn: Promise<unknown> = Promise.resolve()
  const load = async (): Promise<Result<ReadSettings, readonly string[]>> => {
    try {
      return await loadForReload(invocation, given)
    } catch (error) {
      observe({ kind: 'fault', where: 'config.reload', error })
      return err([])
    }
  }
  // One after the other, so that what was read first never replaces what was read later.
  const loadInTurn = (): ReturnType<typeof load> => {
    const loaded = turn.then(load)
    turn = loaded
    return loaded
  }
  const take = (loaded: Result<ReadSettings, readonly string[]>): void => {
    if (!loaded.ok) {
      for (const message of loaded.error)
        observe({ kind: 'config.warning', message: `Not reloaded: ${message}` })
      return
    }
    const { settings, file, digest, dialect, warnings } = loaded.value
    for (const change of difference(running, settings)) observe(toObservation(change))
    try {
      gateway.reload(settings)
    } catch (error) {
      observe({ kind: 'fault', where: 'config.reload', error })
      return
    }
    digestInForce = digest
    running = inForce(running, settings)
    taken(running)
    observe({ kind: 'config.loaded', file, dialect })
    for (const message of warnings) observe({ kind: 'config.warning', message })
  }

  const ignoreHangup = invocation.onSignal('SIGHUP', () => {
    void loadInTurn().then(take)
  })
  const watch =
    started.file === null
      ? null
      : watchSettings({
          file: started.file,
          digest: started.digest,
          clock: invocation.clock,
          load: loadInTurn,
          onChange: (loaded) => {
            // SIGHUP was quicker.
            if (loaded.ok && loaded.value.digest === digestInForce) return
            take(loaded)
          },
        })
  return () => {
    ignoreHangup()
    watch?.close()
  }
}

function toObservation({ path, kind, before, after }: Change): Observation {
  const shown = (text: string | null): string | null => (text === SECRET ? '(changed)' : text)
  return {
    kind: 'config.changed',
    path,
    change: kind,
    from: shown(before),
    to: shown(after),
    restart: !isTakenOver(path),
  }
}
