import type { ErrorBody } from '../error-to-wire.ts'
import { markup, NOTHING, shown } from './markup.ts'
import { page } from './page.ts'

const TITLES: Readonly<Record<string, string>> = {
  sign_in_refused: 'You cannot sign in here',
  sign_in_failed: 'The sign-in did not work',
  too_many_requests: 'Too many sign-ins at the moment',
  not_found: 'There is nothing at this address',
  provider_unavailable: 'The provider cannot be reached',
  provider_invalid: 'The provider did not answer as it should',
}

const sentence = (text: string): string => {
  const plain = shown(text, 600)
  return `${plain.slice(0, 1).toUpperCase()}${plain.slice(1)}.`
}

/** The same error as in JSON, for a person. `begin` is where to try again; `null` where that leads nowhere. */
export function refusedPage(body: ErrorBody, name: string, begin: string | null): string {
  const title = TITLES[body.code] ?? 'Something went wrong'
  const allowed = body.allowed === undefined ? NOTHING : markup`<p>${sentence(body.allowed)}</p>`
  const rule =
    body.rule === undefined ? NOTHING : markup`<dt>Rule</dt><dd><code>${shown(body.rule)}</code></dd>`
  const again =
    begin === null ? NOTHING : markup`<p class="last"><a class="button" href="${begin}">Begin again</a></p>`
  return page(
    title,
    name,
    markup`<h1>${title}</h1>
<p>${sentence(body.message)}</p>
${allowed}
<dl>
<dt>Code</dt><dd><code>${body.code}</code></dd>
${rule}
<dt>Request</dt><dd><code>${body.request_id}</code></dd>
</dl>
${again}`,
  )
}
