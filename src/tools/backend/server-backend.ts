import { decide, type Decision, decideServer, type ToolRule } from '../../access/decide.ts'
import { type Refusal, refusal } from '../../access/refusal.ts'
import type { Caller } from '../../identity/caller.ts'
import type { Params } from '../../lib/json-rpc.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { ClientFacts, Conversation, Inbox, Listening } from '../../upstreams/conversation.ts'
import type { DirectRoute } from '../../upstreams/direct-route.ts'
import type { UpstreamRules } from '../../upstreams/options.ts'
import type { Upstream } from '../../upstreams/upstream.ts'
import type { AdmittedRequest, Admission, Backend, GuardedConversation } from './backend.ts'
import { Catalogue, LONGEST_TOOL_NAME, nameOf } from './catalogue.ts'
import { ServerConversation } from './server-conversation.ts'
import { disguisedKey } from './disguised-key.ts'
import { LookUps } from './look-ups.ts'
import { isRecorded, methodAsks } from './methods.ts'
import { type Asked, RecordedAdmission, recordRefusal, type RecordParts, UNRECORDED } from './record.ts'
import { ServerRules } from './server-rules.ts'

export interface ServerBackendParts extends RecordParts {
  /** The server as it is configured now; undefined once it is removed. */
  readonly upstream: () => Upstream | undefined
}

const OPENING = { method: 'initialize', params: {} }

/** One MCP server behind its rules. It lasts as long as the gateway; the configuration behind it may change. */
export class ServerBackend implements Backend {
  readonly server: string
  readonly catalogue = new Catalogue()
  readonly #parts: ServerBackendParts
  readonly #lookUps: LookUps
  #rules: { readonly of: UpstreamRules; readonly compiled: ServerRules } | undefined

  constructor(server: string, parts: ServerBackendParts) {
    this.server = server
    this.#parts = parts
    this.#lookUps = new LookUps(this.catalogue, parts.clock)
  }

  /** The rules in force; undefined once the server is removed. */
  rules(): ServerRules | undefined {
    const rules = this.#parts.upstream()?.options.rules
    if (rules === undefined) return undefined
    if (this.#rules?.of !== rules) this.#rules = { of: rules, compiled: new ServerRules(this.server, rules) }
    return this.#rules.compiled
  }

  /** Whether the server is open to the caller at all, whatever its level and scopes. */
  decideServer({ grant, credential }: Caller): Decision {
    const rules = this.rules()
    if (rules === undefined) return refused(this.#gone())
    return decideServer(grant, credential, rules.server, this.#parts.clock.now())
  }

  /** Whether the caller may begin a conversation with the server. */
  decideUse({ grant, credential }: Caller): Decision {
    const rules = this.rules()
    if (rules === undefined) return refused(this.#gone())
    return decide(grant, credential, { tool: rules.use }, this.#parts.clock.now())
  }

  /** What of the changes the caller may be told of. */
  listenable(caller: Caller, wanted: Listening): Listening | undefined {
    const rules = this.rules()
    if (rules === undefined || this.decideUse(caller).outcome === 'refuse') return undefined
    if (wanted.resourceSubscriptions === undefined) return wanted
    const { grant, credential } = caller
    if (decide(grant, credential, { tool: rules.content }, this.#parts.clock.now()).outcome === 'allow')
      return wanted
    const { resourceSubscriptions: _, ...lists } = wanted
    return lists
  }

  /** Whether the caller may call a tool, as far as that is known without asking the server. */
  mayCall({ grant, credential }: Caller, tool: string): boolean {
    const rule = this.ruleOf(tool)
    return (
      rule !== undefined &&
      decide(grant, credential, { tool: rule }, this.#parts.clock.now()).outcome === 'allow'
    )
  }

  /** The rule of a tool with what is known of its hints; undefined once the server is removed. */
  ruleOf(tool: string): ToolRule | undefined {
    return this.rules()?.tool(tool, this.catalogue.hint(tool))
  }

  /** Its tools changed: what was learnt of them no longer holds. */
  forget(): void {
    this.catalogue.forget()
    this.#lookUps.forget()
  }

  get idleMs(): number {
    return this.#parts.upstream()?.options.limits.idleMs ?? 0
  }

  async open(
    caller: Caller,
    client: ClientFacts,
    inbox: Inbox,
    signal: AbortSignal,
  ): Promise<Result<GuardedConversation, Refusal>> {
    const room = this.#parts.audit.room()
    if (room) await room
    const asked: Asked = { caller, wire: 'mcp', server: this.server, action: OPENING.method }
    const upstream = this.#parts.upstream()
    const decision = this.#decide(caller, OPENING.method, OPENING.params)
    if (decision.outcome === 'refuse' || upstream === undefined) {
      const why = decision.outcome === 'refuse' ? decision.refusal : this.#gone()
      recordRefusal(asked, why, this.#parts)
      return err(why)
    }
    const begun = await upstream.converse(caller, client, this.#listeningTo(inbox), signal)
    if (!begun.ok) {
      recordRefusal(asked, begun.error, this.#parts)
      return begun
    }
    return ok(new ServerConversation(this, begun.value))
  }

  admit(request: AdmittedRequest): Promise<Result<Admission, Refusal>> | Result<Admission, Refusal> {
    return this.admitThrough(undefined, request)
  }

  /**
   * Like `admit`, for a request of a conversation, in which a tool can be looked up without another one. Answers
   * at once unless the record is full or the tool's level is not known.
   */
  admitThrough(
    conversation: Conversation | undefined,
    request: AdmittedRequest,
  ): Promise<Result<Admission, Refusal>> | Result<Admission, Refusal> {
    const room = this.#parts.audit.room()
    return room
      ? room.then(() => this.#admitNow(conversation, request))
      : this.#admitNow(conversation, request)
  }

  /** Whether `admit` would refuse a request whatever the server said of its tools. */
  refuses({ caller, method, params }: Pick<AdmittedRequest, 'caller' | 'method' | 'params'>): boolean {
    const decision = this.#decide(caller, method, params)
    return decision.outcome === 'refuse' && !this.#dependsOnHint(decision, method, params)
  }

  direct(caller: Caller, client: 'session' | 'stateless'): DirectRoute | undefined {
    return this.#parts.upstream()?.direct(caller, client)
  }

  visibleTools(caller: Caller, tools: readonly Params[]): readonly Params[] {
    this.catalogue.learn(tools)
    return tools.filter((tool) => {
      const name = nameOf(tool)
      return name !== undefined && this.mayCall(caller, name)
    })
  }

  #admitNow(
    conversation: Conversation | undefined,
    request: AdmittedRequest,
  ): Promise<Result<Admission, Refusal>> | Result<Admission, Refusal> {
    const { caller, method, params } = request
    const decision = this.#decide(caller, method, params)
    if (decision.outcome === 'allow') return this.#allowed(request, decision.rule)
    const pending = this.#looksUp(decision, conversation, request)
    return pending
      ? pending.then(() => {
          const again = this.#decide(caller, method, params)
          return again.outcome === 'allow'
            ? this.#allowed(request, again.rule)
            : this.#refused(request, again.refusal)
        })
      : this.#refused(request, decision.refusal)
  }

  /** Asks for the tool's hint where that alone could change the decision. */
  #looksUp(
    decision: Decision,
    conversation: Conversation | undefined,
    { caller, method, params }: AdmittedRequest,
  ): Promise<void> | undefined {
    const upstream = this.#parts.upstream()
    if (upstream === undefined || !this.#dependsOnHint(decision, method, params)) return undefined
    return this.#lookUps.lookUp(upstream, caller, conversation)
  }

  #dependsOnHint(decision: Decision, method: string, params: Params): boolean {
    const name = params['name']
    if (method !== 'tools/call' || typeof name !== 'string') return false
    if (decision.rule !== 'level' || this.catalogue.knows(name)) return false
    return this.rules()?.heedsHintOf(name) === true
  }

  #decide({ grant, credential }: Caller, method: string, params: Params): Decision {
    const rules = this.rules()
    if (rules === undefined) return refused(this.#gone())
    if (disguisedKey(params) !== undefined) return refused(DISGUISED)
    let rule: ToolRule
    if (method === 'tools/call') {
      const name = nameOf(params)
      if (name === undefined) return refused(BAD_NAME)
      rule = rules.tool(name, this.catalogue.hint(name))
    } else {
      const asks = methodAsks(method, params)
      rule = asks === undefined ? rules.tool(method, undefined) : rules[asks]
    }
    return decide(grant, credential, { tool: rule }, this.#parts.clock.now())
  }

  #allowed(request: AdmittedRequest, rule: string): Result<Admission, Refusal> {
    return isRecorded(request.method, request.params)
      ? ok(new RecordedAdmission(this.#asked(request), rule, this.#parts))
      : ALLOWED_UNRECORDED
  }

  #refused(request: AdmittedRequest, why: Refusal): Result<Admission, Refusal> {
    recordRefusal(this.#asked(request), why, this.#parts)
    return err(why)
  }

  #asked({ caller, requestId, wire, method, params }: AdmittedRequest): Asked {
    const { server } = this
    if (method !== 'tools/call') {
      return { caller, requestId, wire, server, action: method.slice(0, LONGEST_ACTION) }
    }
    const name = nameOf(params) ?? ''
    const tool = this.catalogue.knows(name) ? name : '(unknown)'
    return { caller, requestId, wire, server, action: name.slice(0, LONGEST_ACTION), tool }
  }

  /** What was learnt of the tools holds until the server says that they changed. */
  #listeningTo(inbox: Inbox): Inbox {
    return {
      notification: (method, params) => {
        if (method === 'notifications/tools/list_changed') this.forget()
        inbox.notification(method, params)
      },
      ask: (method, params, signal) => inbox.ask(method, params, signal),
      ended: (fault) => inbox.ended(fault),
    }
  }

  #gone(): Refusal {
    return refusal('not_found', 'server', `there is no server "${this.server}" any more`)
  }
}

/** A tool that does not exist is recorded by the name it was called by, and that is the caller's text. */
const LONGEST_ACTION = 128

const ALLOWED_UNRECORDED: Result<Admission, Refusal> = ok(UNRECORDED)

const BAD_NAME = refusal(
  'invalid_request',
  'tool',
  `name must be a string of 1 to ${LONGEST_TOOL_NAME} characters, without control characters and without blanks at its ends`,
)

const DISGUISED = refusal(
  'invalid_request',
  'params',
  'params has a key that differs from a known one only in case',
)

const refused = (why: Refusal): Decision => ({ outcome: 'refuse', rule: why.rule, refusal: why })
