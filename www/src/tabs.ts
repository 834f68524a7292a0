/** What the tabs of one database tell each other. All of it are hints: the log is the truth. */

import type { RecordNews } from './record-desk'
import { RECORD_STATES } from './record-sync'
import type { BlobMap } from './shell/blob-lane'
import type { Call, RecordName, RowUser } from './shell/interface'
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

/** What an app asks of the engine and waits for: a call without its number, and the Blobs that it names. */
export type CallRequest = Call extends infer Each
  ? Each extends Call
    ? Omit<Each, 'call'> & { readonly blobs?: BlobMap | undefined }
    : never
  : never

/** A message between tabs. */
export type TabMessage =
  | {
      readonly type: 'hello'
      readonly tab: string
      readonly visible: boolean
      /** Who is signed in, as far as the tab knows; null says nothing. */
      readonly user: string | null
      /** Whether that is said now: what a tab said before counts where nobody knows better. */
      readonly news?: boolean
    }
  | { readonly type: 'alive'; readonly visible: boolean }
  | { readonly type: 'leading' }
  | { readonly type: 'status'; readonly status: SyncStatus }
  | {
      readonly type: 'captured'
      readonly tab: string
      /** How many captures the tab has told of, with this one. */
      readonly captures: number
      readonly hints: readonly CapturedHint[]
    }
  | {
      readonly type: 'watch'
      readonly tab: string
      readonly captures: number
      /** All records that the tab's app looks at. */
      readonly records: readonly RecordName[]
    }
  | { readonly type: 'records'; readonly news: RecordNews }
  | {
      readonly type: 'call'
      readonly id: string
      /** Whom the tab shows; null for nobody. */
      readonly user: string | null
      readonly request: CallRequest
    }
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
  captured: { tab: 'string', captures: 'number', hints: 'object' },
  watch: { tab: 'string', captures: 'number', records: 'object' },
  records: { news: 'object' },
  call: { id: 'string', request: 'object' },
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
  const type = message.type as TabMessage['type']
  return (
    Object.hasOwn(FIELDS, type) &&
    Object.entries(FIELDS[type]).every(([name, is]) => typeof message[name] === is) &&
    (PARTS[type]?.(message) ?? true)
  )
}

/** What the types of a message's fields do not say. */
const PARTS: Readonly<
  Partial<Record<TabMessage['type'], (message: Record<string, unknown>) => boolean>>
> = {
  hello: ({ user }) => isTextOrNull(user),
  user: ({ user }) => isTextOrNull(user),
  status: ({ status }) => status !== null,
  captured: ({ hints }) => Array.isArray(hints) && hints.every(isHint),
  watch: ({ records }) => Array.isArray(records) && records.every(isRecordName),
  records: ({ news }) => isNews(news),
  call: ({ request, user }) => isCallRequest(request) && isTextOrNull(user),
}

type Unknown<T> = { readonly [Name in keyof T]?: unknown }

function isTextOrNull(value: unknown): boolean {
  return value === null || typeof value === 'string'
}

function isHint(hint: Unknown<CapturedHint> | null): boolean {
  return (
    typeof hint?.table === 'string' &&
    isRowUser(hint.user) &&
    Array.isArray(hint.lids) &&
    hint.lids.every((lid) => typeof lid === 'string') &&
    typeof hint.trigger === 'boolean'
  )
}

function isRowUser(user: unknown): boolean {
  if (user === 'owner' || user === 'nobody') return true
  return typeof (user as { user?: unknown } | null | undefined)?.user === 'string'
}

function isRecordName(name: Unknown<RecordName> | null): boolean {
  return typeof name?.table === 'string' && typeof name.lid === 'string'
}

function isNews(news: unknown): boolean {
  const { states, heard } = (news ?? {}) as Unknown<RecordNews>
  return (
    Array.isArray(states) &&
    states.every((it) => isRecordName(it) && RECORD_STATES.includes(it.state)) &&
    typeof heard === 'object' &&
    heard !== null &&
    Object.values(heard).every((count) => typeof count === 'number')
  )
}

function isCallRequest(request: unknown): boolean {
  const { type, op, choice, blobs } = (request ?? {}) as Record<string, unknown>
  if (type !== 'settleHeld') return ['forceSync', 'backup', 'restore'].includes(String(type))
  const { take, value } = (choice ?? {}) as Record<string, unknown>
  return (
    typeof op === 'string' &&
    (blobs === undefined || blobs instanceof Map) &&
    (take === 'local' || take === 'remote' || (take === 'value' && isTextOrNull(value)))
  )
}
