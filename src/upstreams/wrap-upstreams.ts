import type { Upstream, Upstreams } from './upstream.ts'

/** The same servers, each in a wrapping that is made once; `closing` runs before they are closed. */
export function wrapUpstreams(
  upstreams: Upstreams,
  wrapping: (upstream: Upstream) => Upstream,
  closing?: () => void,
): Upstreams {
  const known = new WeakMap<Upstream, Upstream>()
  const wrap = (upstream: Upstream): Upstream => {
    let wrapped = known.get(upstream)
    if (!wrapped) known.set(upstream, (wrapped = wrapping(upstream)))
    return wrapped
  }
  return {
    list: () => upstreams.list().map(wrap),
    find(name) {
      const found = upstreams.find(name)
      return found && wrap(found)
    },
    onChange: (heard) => upstreams.onChange(heard),
    restart(name) {
      const again = upstreams.restart(name)
      return again && wrap(again)
    },
    reload: (options) => {
      upstreams.reload(options)
    },
    close() {
      closing?.()
      return upstreams.close()
    },
  }
}
