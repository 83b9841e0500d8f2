import { entryOf, type Node } from '../node.ts'
import type { DialectContext } from './dialect.ts'
import { ignoreOthers } from './ignore-others.ts'
import type { TokenBook } from './token-book.ts'

/** `serviceAuths` of one server: the names of the tokens that it lets in. */
export function serviceTokens(
  server: string,
  services: Node,
  book: TokenBook,
  context: DialectContext,
): readonly string[] {
  const { report } = context
  if (services.kind !== 'list') {
    report.problem('config_wrong_type', services, 'must be a list of ways to authenticate')
    return []
  }
  return services.items.flatMap((service) => {
    const type = entryOf(service, 'type')
    const kind = type?.kind === 'scalar' ? type.text : ''
    if (service.kind !== 'map' || (kind !== 'bearer' && kind !== 'basic')) {
      report.problem('config_bad_value', type ?? service, 'needs the type bearer, with tokens')
      return []
    }
    const userToken = entryOf(service, 'userToken')
    if (userToken)
      report.problem(
        'config_not_available',
        userToken,
        'is not available in this version: a credential for one caller does not stand in the configuration. Put it into env or headers, if every caller may use it',
      )
    if (kind === 'basic') {
      ignoreOthers(service, ['type', 'username', 'password', 'hashedPassword', 'userToken'], {}, context)
      report.warning(
        'config_ignored',
        service,
        'lets nobody in: Postern takes tokens from clients, not user names with passwords. Give the client a token: {"type": "bearer", "tokens": ["$env:SERVICE_TOKEN"]}',
      )
      return []
    }
    ignoreOthers(service, ['type', 'tokens', 'userToken'], {}, context)
    const tokens = entryOf(service, 'tokens')
    if (tokens?.kind === 'list') return book.addAllFor(server, tokens.items, report)
    report.problem('config_missing', tokens ?? service, 'needs tokens: a list of their values')
    return []
  })
}
