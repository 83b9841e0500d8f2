import type { HttpReach, UpstreamLimits, UpstreamOptions } from '../../../src/upstreams/options.ts'
import { stdioUpstream } from './stdio-upstreams.ts'

/** An upstream at a URL: probed, with no headers, unless said otherwise. */
export const httpUpstream = (
  name: string,
  reach: Pick<HttpReach, 'url'> & Partial<HttpReach>,
  more: { readonly limits?: Partial<UpstreamLimits>; readonly options?: Partial<UpstreamOptions> } = {},
): UpstreamOptions => ({
  ...stdioUpstream(name, more),
  reach: { kind: 'http', transport: 'auto', headers: {}, clientCredentials: null, ...reach },
})
