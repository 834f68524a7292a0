/** What the tabs of one database tell each other. All of it are hints: the log is the truth. */

import type { RowUser } from './shell/interface'
import type { SyncStatus } from './status'

/** Changes of one table in one transaction. */
export interface CapturedHint {
  readonly table: string
  readonly user: RowUser
  /** Key texts, one for each change. */
  readonly lids: readonly string[]
  /** Whether they are a reason to sync. */
  readonly trigger: boolean
}

/** What an app asks of the engine and waits for. */
export type CallMethod = 'forceSync' | 'backup'

/** A message between tabs. */
export type TabMessage =
  | {
      readonly type: 'hello'
      readonly tab: string
      readonly visible: boolean
      readonly user: string | null
    }
  | { readonly type: 'alive'; readonly visible: boolean }
  | { readonly type: 'leading' }
  | { readonly type: 'status'; readonly status: SyncStatus }
  | { readonly type: 'captured'; readonly hints: readonly CapturedHint[] }
  | { readonly type: 'call'; readonly id: string; readonly method: CallMethod }
  | { readonly type: 'result'; readonly id: string; readonly ok: boolean }
  | { readonly type: 'enabled'; readonly enabled: boolean }
  | { readonly type: 'user'; readonly user: string | null }
  | { readonly type: 'token' }
  | { readonly type: 'visible'; readonly tab: string; readonly visible: boolean }

const FIELDS: Readonly<Record<TabMessage['type'], Readonly<Record<string, string>>>> = {
  hello: { tab: 'string', visible: 'boolean' },
  alive: { visible: 'boolean' },
  leading: {},
  status: { status: 'object' },
  captured: { hints: 'object' },
  call: { id: 'string', method: 'string' },
  result: { id: 'string', ok: 'boolean' },
  enabled: { enabled: 'boolean' },
  user: {},
  token: {},
  visible: { tab: 'string', visible: 'boolean' },
}

/** The channel between the tabs of one database. */
export class Tabs {
  readonly #channel: BroadcastChannel

  constructor(database: string, listener: (message: TabMessage) => void) {
    this.#channel = new BroadcastChannel(`tidesync:${database}:tabs`)
    this.#channel.onmessage = (event: MessageEvent<unknown>) => {
      if (isTabMessage(event.data)) {
        listener(event.data)
      }
    }
  }

  send(message: TabMessage): void {
    this.#channel.postMessage(message)
  }

  close(): void {
    this.#channel.close()
  }
}

/** Other code of the origin, or another version, may speak on the channel too (SEC17). */
function isTabMessage(data: unknown): data is TabMessage {
  if (typeof data !== 'object' || data === null) {
    return false
  }
  const message = data as Record<string, unknown>
  const fields = FIELDS[message.type as TabMessage['type']]
  return (
    fields !== undefined &&
    Object.entries(fields).every(([name, type]) => typeof message[name] === type) &&
    message.status !== null &&
    (message.user === undefined || message.user === null || typeof message.user === 'string') &&
    (message.type !== 'user' || message.user !== undefined) &&
    (message.type !== 'hello' || message.user !== undefined) &&
    (message.hints === undefined || isHints(message.hints))
  )
}

function isHints(hints: unknown): boolean {
  return (
    Array.isArray(hints) &&
    hints.every(
      (hint: Partial<CapturedHint> | null) =>
        typeof hint?.table === 'string' &&
        isRowUser(hint.user) &&
        Array.isArray(hint.lids) &&
        hint.lids.every((lid) => typeof lid === 'string') &&
        typeof hint.trigger === 'boolean',
    )
  )
}

function isRowUser(user: unknown): boolean {
  if (user === 'owner' || user === 'nobody') return true
  return typeof (user as { user?: unknown } | null | undefined)?.user === 'string'
}
