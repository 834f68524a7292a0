/** Storage events: what was changed in the app's database, told after the commit, in every tab. */

import { type Change, type CommittedChanges, onCommit } from './capture/commits'
import { report } from './error'

/** One change of a table, after it was committed. */
export interface StorageEvent {
  readonly tableName: string
  /** `create`: an `add`, or a put whose key was generated; `update`: any other put, of a new key too. */
  readonly operation: Change['operation']
  /** The record's key; absent for `clear` and `delete-range`. */
  readonly recordId?: IDBValidKey
  /** The record as it was stored, parsed when read; absent for deletions, large values and other tabs' changes. */
  readonly record?: unknown
  /** When this tab learned of the change: wall clock, in ms. */
  readonly timestamp: number
  /** Who made the change; absent when nobody is signed in, or when it is not known. */
  readonly userId?: string
  /** Where it was made: in this tab, in another one, or on another device. */
  readonly origin: 'local' | 'other-tab' | 'remote'
}

/** Called with an event. What it throws, or rejects with, goes to the error reporter and reaches no other listener. */
export type StorageListener = (event: StorageEvent) => unknown

/** Tells what changes in the app's database. One for the page: {@link storageEventManager}. */
export class StorageEventManager {
  readonly #byTable = new Map<string, Set<StorageListener>>()
  readonly #any = new Set<StorageListener>()
  readonly #firstListens: () => void

  /** `firstListens` is called when there is a listener where there was none. */
  constructor(firstListens: () => void = () => undefined) {
    this.#firstListens = firstListens
  }

  /** Whether anyone listens. */
  get hasListeners(): boolean {
    return this.#any.size > 0 || this.#byTable.size > 0
  }

  /** Listens to one table (R057). After the returned function was called, `listener` is never called again (R059). */
  on(table: string, listener: StorageListener): () => void {
    const own: StorageListener = (event) => listener(event)
    const isFirst = !this.hasListeners
    const listeners = this.#byTable.get(table) ?? new Set()
    this.#byTable.set(table, listeners.add(own))
    if (isFirst) this.#firstListens()
    return () => {
      listeners.delete(own)
      if (listeners.size === 0 && this.#byTable.get(table) === listeners)
        this.#byTable.delete(table)
    }
  }

  /** Listens to all tables (R058). After the returned function was called, `listener` is never called again (R059). */
  onAny(listener: StorageListener): () => void {
    const own: StorageListener = (event) => listener(event)
    const isFirst = !this.hasListeners
    this.#any.add(own)
    if (isFirst) this.#firstListens()
    return () => {
      this.#any.delete(own)
    }
  }

  /** Tells the listeners of this tab: first those of the table, then those of all tables, each on its own. */
  emit(event: StorageEvent): void {
    deliver(this.#byTable.get(event.tableName), event)
    deliver(this.#any, event)
  }
}

/** The page's events: every create, update and delete on every tracked table (R056, R060). */
export const storageEventManager: StorageEventManager = new StorageEventManager(() => {
  for (const { channel } of memberships.values()) channel?.postMessage(LISTENING)
})

function deliver(listeners: Set<StorageListener> | undefined, event: StorageEvent): void {
  if (listeners === undefined) return
  for (const listener of [...listeners]) {
    // One that was called before may have taken it away.
    if (listeners.has(listener)) call(listener, event)
  }
}

function call(listener: StorageListener, event: StorageEvent): void {
  try {
    const result = listener(event)
    if (result instanceof Promise) result.catch(report)
  } catch (error) {
    report(error)
  }
}

/** The event of a committed change. */
export function toStorageEvent(
  change: Change,
  origin: StorageEvent['origin'] = 'local',
): StorageEvent {
  return new ChangeEvent(change, origin)
}

class ChangeEvent implements StorageEvent {
  readonly tableName: string
  readonly operation: Change['operation']
  declare readonly recordId?: IDBValidKey
  declare readonly userId?: string
  readonly timestamp = Date.now()
  readonly #change: Change
  #record: { readonly value: unknown } | undefined

  constructor(
    change: Change,
    readonly origin: StorageEvent['origin'],
  ) {
    this.#change = change
    this.tableName = change.table
    this.operation = change.operation
    if (change.key !== undefined) this.recordId = change.key
    if (typeof change.user === 'string') this.userId = change.user
  }

  get record(): unknown {
    this.#record ??= { value: this.#change.readValue?.() }
    return this.#record.value
  }
}

interface Membership {
  readonly channel: BroadcastChannel | undefined
  members: number
  /** Another tab has said that it listens. A message per commit costs, so a tab that is alone sends none. */
  isHeard: boolean
}

const memberships = new Map<string, Membership>()
let stopListening: (() => void) | undefined

/** Makes events of a database's commits, here and in the other tabs, until the returned function is called. */
export function joinEvents(database: string): () => void {
  stopListening ??= onCommit(tellCommit)
  const membership = memberships.get(database) ?? openMembership(database)
  membership.members += 1
  return () => {
    membership.members -= 1
    if (membership.members > 0) return
    membership.channel?.close()
    memberships.delete(database)
    if (memberships.size > 0) return
    stopListening?.()
    stopListening = undefined
  }
}

/** Makes events of what came from the server for `user`, here and in the other tabs. */
export function tellRemoteChanges(
  database: string,
  changes: readonly Change[],
  user: string | undefined,
): void {
  const theirs = user === undefined ? changes : changes.map((change) => ({ ...change, user }))
  tell({ database, changes: theirs }, 'remote')
}

function tellCommit(committed: CommittedChanges): void {
  tell(committed, 'local')
}

function tell(committed: CommittedChanges, origin: 'local' | 'remote'): void {
  const membership = memberships.get(committed.database)
  if (membership?.isHeard) {
    const message: ChangesMessage = {
      v: 1,
      type: 'changes',
      changes: committed.changes.map(toWire),
      ...(origin === 'remote' ? { origin } : {}),
    }
    membership.channel?.postMessage(message)
  }
  if (!storageEventManager.hasListeners) return
  for (const change of committed.changes) storageEventManager.emit(toStorageEvent(change, origin))
}

/** What tabs tell one another of a commit: keys and operations, never values. */
interface ChangesMessage {
  readonly v: 1
  readonly type: 'changes'
  readonly changes: readonly WireChange[]
  /** Absent for what was made in the tab that tells. */
  readonly origin?: 'remote'
}

/** A tab that has listeners says so: when it gets its first one, when it joins, and when it is asked. */
const LISTENING = { v: 1, type: 'listening' }
/** A tab that joins asks the others. */
const ASKING = { v: 1, type: 'asking' }

type WireChange = Pick<Change, 'table' | 'operation' | 'key' | 'range' | 'user'>

function toWire({ table, operation, key, range, user }: Change): WireChange {
  return {
    table,
    operation,
    ...(key === undefined ? {} : { key }),
    ...(range === undefined ? {} : { range }),
    ...(user === undefined ? {} : { user }),
  }
}

function openMembership(database: string): Membership {
  const channel =
    typeof BroadcastChannel === 'undefined'
      ? undefined
      : new BroadcastChannel(`tidesync:${database}:events`)
  const membership: Membership = { channel, members: 0, isHeard: false }
  memberships.set(database, membership)
  channel?.addEventListener('message', ({ data }: MessageEvent<unknown>) => hear(membership, data))
  channel?.postMessage(ASKING)
  if (storageEventManager.hasListeners) channel?.postMessage(LISTENING)
  return membership
}

function hear(membership: Membership, data: unknown): void {
  if (typeof data !== 'object' || data === null) return
  const { v, type } = data as Record<string, unknown>
  if (v !== 1) return
  if (type === 'listening') membership.isHeard = true
  if (!storageEventManager.hasListeners) return
  if (type === 'asking') membership.channel?.postMessage(LISTENING)
  if (type !== 'changes' || !isChangesMessage(data)) return
  const origin = data.origin === 'remote' ? 'remote' : 'other-tab'
  for (const change of data.changes) storageEventManager.emit(toStorageEvent(change, origin))
}

const OPERATIONS: ReadonlySet<unknown> = new Set<Change['operation']>([
  'create',
  'update',
  'delete',
  'clear',
  'delete-range',
])
const RECORD_OPERATIONS: ReadonlySet<unknown> = new Set(['create', 'update', 'delete'])

/** Whether a message is one that this version understands; every other is ignored (a tab may run another build). */
function isChangesMessage(data: object): data is ChangesMessage {
  const { changes } = data as Record<string, unknown>
  return Array.isArray(changes) && changes.every(isWireChange)
}

function isWireChange(data: unknown): data is WireChange {
  if (typeof data !== 'object' || data === null) return false
  const { table, operation, key, user } = data as Record<string, unknown>
  if (typeof table !== 'string' || !OPERATIONS.has(operation)) return false
  if (user !== undefined && user !== null && typeof user !== 'string') return false
  return RECORD_OPERATIONS.has(operation) ? isKey(key) : key === undefined
}

function isKey(key: unknown): boolean {
  try {
    return indexedDB.cmp(key, key) === 0
  } catch {
    return false
  }
}
