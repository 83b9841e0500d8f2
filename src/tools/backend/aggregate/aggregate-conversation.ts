import type { Caller } from '../../../identity/caller.ts'
import { isObject, type Params } from '../../../lib/json-rpc.ts'
import type { ClientFacts, Inbox, Listening, ServerFacts } from '../../../upstreams/conversation.ts'
import type { GuardedAnswer, GuardedConversation, GuardedRequest } from '../backend.ts'
import type { AggregateParts } from './aggregate-backend.ts'
import { type MemberFacts, mergedFacts, UNKNOWN_CAPABILITIES } from './facts.ts'
import { Homes } from './homes.ts'
import { isListMethod, type LeftOut, type ListMethod, type MergedList, pageOf } from './lists.ts'
import { type Asker, Member } from './member.ts'
import { mergeLists, type Part } from './merge-lists.ts'
import { namedAsk, namedCallbacks, namedParams } from './named.ts'
import { unlessAborted } from '../../../lib/unless-aborted.ts'
import { callOwnTool, isOwnTool, ownToolList } from './own-tools.ts'
import { partOfList, tooSlow, unavailable } from './part-of-list.ts'

/** A list whose pages are being read is kept this long. */
const SNAPSHOT_MS = 60_000

interface Snapshot {
  readonly list: MergedList
  /** The same object for as long as its grant is the same. */
  readonly caller: Caller
  readonly at: number
}

/** A conversation with every server that its caller may use. Each is begun when it is first needed. */
export class AggregateConversation implements GuardedConversation {
  readonly #parts: AggregateParts
  readonly #client: ClientFacts
  readonly #inbox: Inbox
  readonly #note: (server: string, leftOut: LeftOut | undefined) => void
  readonly #members = new Map<string, Member>()
  readonly #snapshots = new Map<ListMethod, Snapshot>()
  readonly #homes = new Homes()
  #resourcesListed = false
  #logLevel: unknown
  #wanted: Listening | undefined
  #about: ServerFacts
  #closed = false

  constructor(
    parts: AggregateParts,
    client: ClientFacts,
    inbox: Inbox,
    note: (server: string, leftOut: LeftOut | undefined) => void,
  ) {
    this.#parts = parts
    this.#client = client
    this.#inbox = inbox
    this.#note = note
    this.#about = mergedFacts(parts.serverInfo, [])
  }

  get about(): ServerFacts {
    return this.#about
  }

  /** Begins with every server at once, waiting no longer than for a list, to know what all of them can. */
  async meet(caller: Caller, signal: AbortSignal): Promise<void> {
    const asker: Asker = { caller, requestId: '' }
    const met = await Promise.all(
      this.#membersFor(asker).map(async (member): Promise<MemberFacts | undefined> => {
        try {
          const conversation = await this.#inTime(signal, (deadline) =>
            unlessAborted(member.get(asker), deadline),
          )
          if (!conversation.ok) return undefined
          const { capabilities, instructions } = conversation.value.about
          return {
            server: member.server,
            capabilities,
            ...(instructions === undefined ? {} : { instructions }),
          }
        } catch (fault) {
          signal.throwIfAborted()
          member.missed()
          this.#note(member.server, unavailable(member.server, fault))
          return { server: member.server, capabilities: UNKNOWN_CAPABILITIES }
        }
      }),
    )
    this.#about = mergedFacts(
      this.#parts.serverInfo,
      met.filter((facts) => facts !== undefined),
    )
  }

  async request(call: GuardedRequest): Promise<GuardedAnswer> {
    const { method } = call
    if (isListMethod(method)) return await this.#list(method, call)
    switch (method) {
      case 'tools/call':
        return await this.#callTool(call)
      case 'prompts/get':
        return await this.#getPrompt(call)
      case 'resources/read':
      case 'resources/subscribe':
      case 'resources/unsubscribe':
        return await this.#resource(call)
      case 'completion/complete':
        return await this.#complete(call)
      case 'logging/setLevel':
        return await this.#setLogLevel(call)
      case 'ping':
        return { kind: 'result', result: {} }
      default:
        return failure(-32_601, `there is no method "${method.slice(0, 128)}" for all servers at once`)
    }
  }

  notify(method: string, params: Params): void {
    for (const member of this.#members.values()) member.current?.notify(method, params)
  }

  async listen(caller: Caller, wanted: Listening, requestId: string): Promise<Listening> {
    const asker: Asker = { caller, requestId }
    const { resourceSubscriptions = [], ...lists } = wanted
    this.#wanted = lists
    const members = this.#membersFor(asker)
    const told = await Promise.all(
      members.map(async (member): Promise<Listening> => {
        const own = resourceSubscriptions.filter(
          (uri) => (this.#homes.find(uri) ?? member.server) === member.server,
        )
        const part = { ...lists, ...(own.length === 0 ? {} : { resourceSubscriptions: own }) }
        try {
          const never = new AbortController().signal
          return await this.#inTime(never, (deadline) => unlessAborted(member.listen(asker, part), deadline))
        } catch (fault) {
          member.missed()
          this.#note(member.server, unavailable(member.server, fault))
          return {}
        }
      }),
    )
    const subscriptions = [...new Set(told.flatMap((one) => one.resourceSubscriptions ?? []))]
    return {
      // Servers come and go with the configuration, so lists can always change.
      ...lists,
      ...(subscriptions.length === 0 ? {} : { resourceSubscriptions: subscriptions }),
    }
  }

  close(): void {
    this.#closed = true
    for (const member of this.#members.values()) member.close()
    this.#members.clear()
  }

  async #list(method: ListMethod, call: GuardedRequest): Promise<GuardedAnswer> {
    const { cursor } = call.params
    const kept = this.#snapshots.get(method)
    const now = this.#parts.clock.now()
    const usable = cursor !== undefined && kept?.caller === call.caller && now - kept.at < SNAPSHOT_MS
    const list = usable ? kept.list : await this.#merge(method, call)
    const page = pageOf(list, method, cursor)
    if (page === undefined) {
      return failure(-32_602, `cursor is not one that ${method} gave: list again without it`)
    }
    if (page['nextCursor'] === undefined) this.#snapshots.delete(method)
    else if (!usable) this.#snapshots.set(method, { list, caller: call.caller, at: now })
    return { kind: 'result', result: page }
  }

  async #merge(method: ListMethod, call: GuardedRequest): Promise<MergedList> {
    const own: readonly Part[] =
      method === 'tools/list' ? [{ server: '', items: ownToolList(this.#parts.own, call.caller) }] : []
    const parts = await Promise.all(
      this.#membersFor(call).map((member) => this.#partOf(member, method, call)),
    )
    const list = mergeLists(method, [...own, ...parts], this.#parts.names)
    if (method === 'resources/list' || method === 'resources/templates/list') this.#learn(parts)
    return list
  }

  async #partOf(member: Member, method: ListMethod, call: GuardedRequest): Promise<Part> {
    const part = await this.#inTime(call.signal, (deadline) => partOfList(member, method, call, deadline))
    if (part.leftOut) member.missed()
    this.#note(member.server, part.leftOut)
    return part
  }

  #learn(parts: readonly Part[]): void {
    for (const { server, items } of parts) {
      for (const { uri, uriTemplate } of items) {
        if (typeof uri === 'string') this.#homes.learn(uri, server)
        if (typeof uriTemplate === 'string') this.#homes.learnTemplate(uriTemplate, server)
      }
    }
  }

  async #callTool(call: GuardedRequest): Promise<GuardedAnswer> {
    const { name } = call.params
    const { own, names, clock, requestTimeoutMs } = this.#parts
    if (typeof name !== 'string') return failure(-32_602, 'name must be a string')
    const meant = isOwnTool(own, call.caller, name) ? undefined : names.split(name)
    const member = meant && this.#member(meant.server, call)
    // A server that is there no longer leaves a name that no tool has: the pipeline refuses and records it.
    if (!meant || !member) return await callOwnTool(own, call, name, clock, requestTimeoutMs)
    const params: Record<string, unknown> = { ...call.params, name: meant.name }
    delete params['task']
    const answer = await this.#ask(member, call, params)
    if (answer.kind === 'result') this.#learnLinks(answer.result, member.server)
    return answer
  }

  async #getPrompt(call: GuardedRequest): Promise<GuardedAnswer> {
    const { name } = call.params
    const meant = typeof name === 'string' ? this.#parts.names.split(name) : undefined
    const member = meant && this.#member(meant.server, call)
    if (!meant || !member) return failure(-32_602, 'there is no prompt of this name')
    return await this.#ask(member, call, { ...call.params, name: meant.name })
  }

  async #complete(call: GuardedRequest): Promise<GuardedAnswer> {
    const { ref } = call.params
    if (!isObject(ref)) return failure(-32_602, 'ref must be an object')
    const { name, uri } = ref
    if (typeof name === 'string') {
      const meant = this.#parts.names.split(name)
      const member = meant && this.#member(meant.server, call)
      if (!meant || !member) return failure(-32_602, 'there is no prompt of this name')
      return await this.#ask(member, call, { ...call.params, ref: { ...ref, name: meant.name } })
    }
    if (typeof uri !== 'string') return failure(-32_602, 'ref must name a prompt or a resource template')
    return await this.#askInOrder(uri, 'completions', call)
  }

  async #resource(call: GuardedRequest): Promise<GuardedAnswer> {
    const { uri } = call.params
    if (typeof uri !== 'string') return failure(-32_602, 'uri must be a string')
    if (call.method === 'resources/unsubscribe') {
      const asked = [...this.#members.values()].filter(({ subscriptions }) => subscriptions.delete(uri))
      for (const member of asked) await this.#ask(member, call, call.params)
      return { kind: 'result', result: {} }
    }
    // Any server may say yes to a subscription, and link to what another has: the one that lists it must be known.
    if (call.method === 'resources/subscribe' || this.#homes.isClaim(uri)) await this.#findHomes(uri, call)
    return await this.#askInOrder(uri, 'resources', call)
  }

  /** Lists once what there is, so that an address that nobody listed yet finds its server. */
  async #findHomes(uri: string, call: GuardedRequest): Promise<void> {
    if (this.#resourcesListed) return
    if (this.#homes.find(uri) !== undefined && !this.#homes.isClaim(uri)) return
    this.#resourcesListed = true
    await Promise.all([this.#merge('resources/list', call), this.#merge('resources/templates/list', call)])
  }

  /** Asks the server that has the address; while that is not known, one after the other until one has it. */
  async #askInOrder(uri: string, capability: string, call: GuardedRequest): Promise<GuardedAnswer> {
    const home = this.#homes.find(uri)
    const known = home === undefined ? undefined : this.#member(home, call)
    let last: GuardedAnswer = failure(-32_602, 'there is no resource at this address', { uri })
    let away: unknown
    for (const member of known ? [known] : this.#membersFor(call)) {
      try {
        const conversation = await unlessAborted(member.get(call), call.signal)
        if (!conversation.ok) {
          if (known) return { kind: 'refused', refusal: conversation.error }
          continue
        }
        if (conversation.value.about.capabilities[capability] === undefined) continue
        const answer = await this.#ask(member, call, call.params)
        if (answer.kind === 'result') {
          if (call.method !== 'completion/complete') this.#homes.claim(uri, member.server)
          if (call.method === 'resources/subscribe') member.subscribed(uri)
          return answer
        }
        if (known || answer.kind === 'error') last = answer
      } catch (fault) {
        call.signal.throwIfAborted()
        away = fault
      }
    }
    // One that is away may have it: that nobody has it cannot be said.
    if (away !== undefined) throw away
    return last
  }

  async #setLogLevel(call: GuardedRequest): Promise<GuardedAnswer> {
    this.#logLevel = call.params['level']
    const members = this.#membersFor(call)
    for (const member of members) member.setLogLevel(this.#logLevel)
    const open = members.filter(({ current }) => current?.about.capabilities['logging'] !== undefined)
    const answers = await Promise.allSettled(open.map((member) => this.#ask(member, call, call.params)))
    const wrong = answers.flatMap((answer) =>
      answer.status === 'fulfilled' && answer.value.kind === 'error' ? [answer.value] : [],
    )
    // A level that every server finds wrong is wrong; one server's trouble is not the client's.
    return wrong[0] && wrong.length === open.length ? wrong[0] : { kind: 'result', result: {} }
  }

  async #ask(member: Member, call: GuardedRequest, params: Params): Promise<GuardedAnswer> {
    const request = { ...call, params, ...namedCallbacks(member.server, call) }
    if (member.backend.decideUse(call.caller).outcome === 'refuse') {
      // Nothing is begun with a server for somebody who may not use it; the refusal is that of what was asked.
      const admitted = await member.backend.admit(request)
      if (!admitted.ok) return { kind: 'refused', refusal: admitted.error }
      admitted.value.settle('failed', { rule: 'server' })
    }
    const conversation = await unlessAborted(member.get(call), call.signal)
    if (!conversation.ok) return { kind: 'refused', refusal: conversation.error }
    return await conversation.value.request(request)
  }

  /** A result may link to resources that no list has. */
  #learnLinks({ content }: Params, server: string): void {
    if (!Array.isArray(content)) return
    for (const block of content) {
      if (!isObject(block)) continue
      const { type, uri } = block
      if (type === 'resource_link' && typeof uri === 'string') this.#homes.claim(uri, server)
    }
  }

  /** The servers that the caller may use now. */
  #membersFor(asker: Asker): readonly Member[] {
    return this.#parts
      .servers()
      .filter((backend) => backend.decideUse(asker.caller).outcome === 'allow')
      .flatMap(({ server }) => this.#member(server, asker) ?? [])
  }

  /** One server, whether the caller may use it or not: it decides that itself. */
  #member(server: string, asker: Asker): Member | undefined {
    const backend = this.#parts.servers().find((one) => one.server === server)
    const known = this.#members.get(server)
    if (known && known.backend === backend && !this.#closed) return known
    // Removed from the configuration, or removed and added again: another server under the same name.
    known?.close()
    this.#members.delete(server)
    if (backend === undefined || this.#closed) return undefined
    const inbox: Inbox = {
      notification: (method, params) => {
        this.#heard(server, method, params)
      },
      ask: namedAsk(server, (method, params, signal) => this.#inbox.ask(method, params, signal)),
      // Nobody's end but its own: the other servers go on, and this one is begun again when it is needed.
      ended: () => undefined,
    }
    const member = new Member(backend, asker, this.#client, inbox, this.#parts)
    if (this.#logLevel !== undefined) member.setLogLevel(this.#logLevel)
    if (this.#wanted !== undefined) member.setListening(this.#wanted)
    this.#members.set(server, member)
    return member
  }

  #heard(server: string, method: string, params: Params): void {
    switch (method) {
      case 'notifications/tools/list_changed':
        this.#snapshots.delete('tools/list')
        break
      case 'notifications/prompts/list_changed':
        this.#snapshots.delete('prompts/list')
        break
      case 'notifications/resources/list_changed':
        this.#snapshots.delete('resources/list')
        this.#snapshots.delete('resources/templates/list')
        this.#homes.forget()
        this.#resourcesListed = false
        break
      default:
    }
    this.#inbox.notification(method, namedParams(server, method, params))
  }

  /** Runs something with a signal that is aborted when `signal` is, or when a server has had its time. */
  async #inTime<T>(signal: AbortSignal, run: (deadline: AbortSignal) => Promise<T>): Promise<T> {
    const over = new AbortController()
    const cancel = this.#parts.clock.after(this.#parts.listTimeoutMs, () => {
      over.abort(tooSlow())
    })
    try {
      return await run(AbortSignal.any([signal, over.signal]))
    } finally {
      cancel()
    }
  }
}

const failure = (code: number, message: string, data?: unknown): GuardedAnswer => ({
  kind: 'error',
  error: { code, message, ...(data === undefined ? {} : { data }) },
})
