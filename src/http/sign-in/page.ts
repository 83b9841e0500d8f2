import { createHash } from 'node:crypto'
import { Markup, markup } from './markup.ts'

const STYLE = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --paper: #f4f5f7; --card: #ffffff; --line: #d9dde3; --mark: #1f5fbf; --field: #f4f6f9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa5b4; --paper: #12161c; --card: #1a2028; --line: #323b47; --mark: #7db0ff; --field: #131920; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: flex; align-items: flex-start; justify-content: center; padding: clamp(16px, 8vh, 96px) 16px; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { width: 100%; max-width: 640px; background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: clamp(20px, 5vw, 40px); }
.from { display: flex; align-items: center; gap: 8px; margin: 0 0 20px; color: var(--soft); font-size: 14px; }
.from svg { flex: none; width: 20px; height: 20px; color: var(--mark); }
h1 { margin: 0 0 12px; font-size: 24px; line-height: 1.3; font-weight: 600; overflow-wrap: anywhere; }
h2 { margin: 32px 0 8px; font-size: 15px; font-weight: 600; }
p { margin: 0 0 12px; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 20px; margin: 20px 0 0; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
.token { display: flex; gap: 8px; align-items: center; margin: 24px 0 0; }
.token code { flex: 1; min-width: 0; overflow: hidden; white-space: nowrap; text-overflow: ellipsis; user-select: all; }
code, pre { font: 13px/1.5 ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; }
.token code, pre { background: var(--field); border: 1px solid var(--line); border-radius: 8px; padding: 10px 12px; }
pre { margin: 0 0 14px; white-space: pre-wrap; overflow-wrap: anywhere; }
button, .button { flex: none; font: inherit; font-size: 15px; padding: 9px 16px; border: 1px solid var(--mark); border-radius: 8px; background: transparent; color: var(--mark); cursor: pointer; text-decoration: none; display: inline-block; }
button, .button:hover { background: var(--mark); color: var(--card); }
button { min-width: 92px; }
button:hover { filter: brightness(1.1); }
button:focus-visible, a:focus-visible, .token code:focus-visible { outline: 3px solid var(--mark); outline-offset: 2px; }
a { color: var(--mark); }
.soft { color: var(--soft); font-size: 14px; }
.last { margin: 28px 0 0; }
@media (max-width: 480px) { body { padding: 0; } main { border: 0; border-radius: 0; min-height: 100vh; } .token { flex-direction: column; align-items: stretch; } .token code { flex: none; } dl { gap: 4px 14px; } }
`

/** Copies the token, and takes the provider's answer out of the address and so out of the history. */
const SCRIPT = `
history.replaceState(null, '', location.pathname)
const button = document.getElementById('copy')
const token = document.getElementById('token')
if (button && token) {
  button.hidden = false
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(token.textContent)
      button.textContent = 'Copied'
    } catch {
      getSelection().selectAllChildren(token)
      button.textContent = 'Press Ctrl+C'
    }
  })
}
`

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/** Nothing but these two texts may style or run, nothing is loaded, and nobody shows the page within theirs. */
const POLICY = [
  "default-src 'none'",
  `style-src ${hashOf(STYLE)}`,
  `script-src ${hashOf(SCRIPT)}`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': POLICY,
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'cache-control': 'no-store',
  vary: 'accept',
}

export const PAGE_TYPE = 'text/html; charset=utf-8'

/** A postern, ajar. */
const DOOR = markup`<svg viewBox="0 0 20 20" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d="M2 18h16M4 18V9a6 6 0 0 1 12 0v9"/><path d="M8 18V5.5l5 2V18"/><path d="M11 12.2v.6"/></svg>`

/** One whole page around its content. */
export const page = (title: string, from: string, content: Markup): string =>
  markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
<main>
<p class="from">${DOOR}${from}</p>
${content}
</main>
<script>${new Markup(SCRIPT)}</script>
</body>
</html>
`.text
