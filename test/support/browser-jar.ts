/** What a browser does with redirects and cookies, and nothing else: one jar is one browser. */
export class BrowserJar {
  readonly #cookies = new Map<string, Map<string, string>>()

  /** The cookies for an address, as the header has them. */
  cookies(url: string): string {
    const of = this.#cookies.get(new URL(url).host) ?? new Map<string, string>()
    return [...of].map(([name, value]) => `${name}=${value}`).join('; ')
  }

  set(url: string, name: string, value: string): void {
    const { host } = new URL(url)
    const of = this.#cookies.get(host) ?? new Map<string, string>()
    this.#cookies.set(host, of.set(name, value))
  }

  /** One request, as a person's navigation; its answer is not followed. */
  async visit(
    url: string,
    more: {
      readonly form?: Readonly<Record<string, string>>
      readonly headers?: Readonly<Record<string, string>>
    } = {},
  ): Promise<Response> {
    const cookie = this.cookies(url)
    const response = await fetch(url, {
      redirect: 'manual',
      headers: { accept: 'text/html', ...(cookie === '' ? {} : { cookie }), ...more.headers },
      ...(more.form === undefined ? {} : { method: 'POST', body: new URLSearchParams(more.form) }),
      signal: AbortSignal.timeout(30_000),
    })
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';')
      const [name = '', ...rest] = pair.split('=')
      if (/max-age=0|expires=thu, 01 jan 1970/i.test(line)) this.#cookies.get(new URL(url).host)?.delete(name)
      else this.set(url, name, rest.join('='))
    }
    return response
  }

  /** Follows redirects until there is a page, or an address that `stop` names. */
  async follow(
    url: string,
    stop: (url: string) => boolean = () => false,
  ): Promise<{ url: string; response?: Response }> {
    for (let at = url, steps = 0; steps < 20; steps += 1) {
      if (stop(at)) return { url: at }
      const response = await this.visit(at)
      const location = response.headers.get('location')
      if (location === null) return { url: at, response }
      await response.arrayBuffer()
      at = new URL(location, at).href
    }
    throw new Error('too many redirects')
  }
}
