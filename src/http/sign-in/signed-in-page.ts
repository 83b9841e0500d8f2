import type { SignedIn } from '../../identity/oidc/sign-in.ts'
import { markup, NOTHING, shown } from './markup.ts'
import { page } from './page.ts'

/** What a person reads who came back from the provider: who they are here, and the token, this once. */
export function signedInPage(
  { jwt, username, role, tenant, returnTo }: SignedIn,
  { name, baseUrl }: { readonly name: string; readonly baseUrl: string },
): string {
  const until = new Date(jwt.known.caller.credential.expiresAt ?? 0)
  const utc = `${until.toISOString().slice(0, 16).replace('T', ' ')} UTC`
  const goOn =
    returnTo === null ? NOTHING : markup`<p class="last"><a class="button" href="${returnTo}">Go on</a></p>`
  return page(
    `Signed in as ${shown(username)}`,
    name,
    markup`<h1>You are signed in as ${shown(username)}</h1>
<p>Copy your token now: it is shown this once, and kept nowhere.</p>
<div class="token"><code id="token" tabindex="0">${jwt.token.reveal()}</code><button id="copy" type="button" hidden>Copy</button></div>
<dl>
<dt>Role</dt><dd>${role}</dd>
<dt>Tenant</dt><dd>${tenant}</dd>
<dt>Good until</dt><dd><time datetime="${until.toISOString()}">${utc}</time></dd>
</dl>
<h2>What to do with it</h2>
<p>Send it with every request:</p>
<pre>export POSTERN_TOKEN=…
curl -H "Authorization: Bearer $POSTERN_TOKEN" \\
${baseUrl}/api/v1/auth/me</pre>
<p>In an MCP client, set the address <code>${baseUrl}/mcp</code> and the header <code>Authorization: Bearer …</code></p>
<p class="soft last">Whoever has the token is you until it ends. <code>POST /api/v1/auth/logout</code> ends it before its time.</p>
${goOn}`,
  )
}
