import type { Gateway } from '../src/gateway.ts'
import { watchSettings } from '../src/config/watch.ts'
import { err, type Result } from '../src/lib/result.ts'
import type { Observe } from '../src/observe/observation.ts'
import type { Given, Invocation } from './command.ts'
import { loadForReload, type ReadSettings } from './read-settings.ts'

/**
 * Reads the configuration again when its file changes, and on SIGHUP (what it refers to, such as the
 * environment or another file, is not watched). One that cannot be used changes nothing: the log says what
 * is wrong with it. The returned function ends this.
 */
export function followConfiguration(
  invocation: Invocation,
  given: Given,
  started: ReadSettings,
  gateway: Pick<Gateway, 'reload'>,
  observe: Observe,
): () => void {
  let inForce = started.digest
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
    try {
      gateway.reload(settings)
    } catch (error) {
      observe({ kind: 'fault', where: 'config.reload', error })
      return
    }
    inForce = digest
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
            if (loaded.ok && loaded.value.digest === inForce) return
            take(loaded)
          },
        })
  return () => {
    ignoreHangup()
    watch?.close()
  }
}
