/**
 * Whether an address that a server wants a person to open is a page of the web. Others run scripts, read files or start
 * programs where a client just opens them (2025-11-25 elicitation, "Safe URL Handling"). Blanks and control characters
 * are taken out by some readers and not by others, so they are in none.
 */
export const isPageAddress = (url: unknown): url is string =>
  typeof url === 'string' && /^https?:\/\/[^\s\p{Cc}]+$/iu.test(url) && URL.canParse(url)
