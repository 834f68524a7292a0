'use client'

/** React's view of sync. */

import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react'
import { report } from './error'
import type { IssueResolution, SyncIssue } from './issues'
import { decodeKey, encodeKey } from './key'
import { type RecordSyncSnapshot, UNKNOWN_RECORD } from './record-sync'
import {
  forceSync,
  getAutoSyncStatus,
  listSyncIssues,
  recordSync,
  releaseService,
  resolveSyncIssue,
  startService,
  subscribe,
  triggerBackup,
} from './service'
import { INITIAL_STATUS, type SyncStatus } from './status'
import type { CloudSync } from './sync'

/** Options of {@link useCloudSync}. */
export interface UseCloudSyncOptions<Selected> {
  /**
   * What the component renders of the status: it renders again only when this has changed (compared
   * by value, one level deep). Default: the whole status.
   */
  readonly select?: (status: SyncStatus) => Selected
  /** An instance of `createCloudSync`. Default: what `configureCloudSync` has set up. */
  readonly sync?: CloudSync
}

/** What {@link useCloudSync} gives. The functions are the same at every render. */
export interface UseCloudSync<Selected = SyncStatus> {
  /** The status, or what `select` made of it. */
  readonly status: Selected
  /** Compares everything, sends what differs; resolves to whether the server confirmed all of it. */
  readonly triggerBackup: () => Promise<boolean>
  /** Syncs now; resolves to whether the server confirmed everything that was pending. */
  readonly forceSync: () => Promise<boolean>
  /** The whole status, now. */
  readonly getSyncStatus: () => SyncStatus
}

/** What the hooks need of an instance. */
type Source = Pick<
  CloudSync,
  | 'start'
  | 'stop'
  | 'subscribe'
  | 'getStatus'
  | 'forceSync'
  | 'triggerBackup'
  | 'listIssues'
  | 'resolveIssue'
  | 'recordSync'
>

const SERVICE: Source = {
  start: startService,
  stop: releaseService,
  subscribe,
  getStatus: getAutoSyncStatus,
  forceSync,
  triggerBackup,
  listIssues: listSyncIssues,
  resolveIssue: resolveSyncIssue,
  recordSync,
}

/** Time for another component, or the same one again, to take over before sync stops. */
const LINGER_MS = 1_000

/**
 * Syncs `userId`'s changes while some component uses it, and tells how that goes. Without a user
 * (null, undefined) nothing is synced; capture goes on.
 */
export function useCloudSync<Selected = SyncStatus>(
  userId: string | null | undefined,
  options: UseCloudSyncOptions<Selected> = {},
): UseCloudSync<Selected> {
  const { select, sync: source = SERVICE } = options
  useEffect(() => hold(source, userId ?? null), [source, userId])
  const kept = useRef<Selected | undefined>(undefined)
  const selected = (status: SyncStatus): Selected => {
    const next = select === undefined ? (status as Selected) : select(status)
    if (!shallowEqual(kept.current, next)) {
      kept.current = next
    }
    return kept.current as Selected
  }
  const status = useSyncExternalStore(
    source.subscribe,
    () => selected(source.getStatus()),
    () => selected(INITIAL_STATUS),
  )
  const calls = useMemo(() => callsOf(source), [source])
  return useMemo(() => ({ status, ...calls }), [status, calls])
}

function callsOf(source: Source): Omit<UseCloudSync, 'status'> {
  return {
    triggerBackup: () => source.triggerBackup(),
    forceSync: () => source.forceSync(),
    getSyncStatus: source.getStatus,
  }
}

/** Options of {@link useRecordSync} and {@link useSyncIssues}. */
export interface UseSyncOptions {
  /** An instance of `createCloudSync`. Default: what `configureCloudSync` has set up. */
  readonly sync?: CloudSync
}

/**
 * How far one record is on its way to the server, and a promise for the server's word. The component
 * renders again only when the record's state changes. It syncs nothing by itself: `useCloudSync` does.
 * @throws TidesyncError `bad-key` where `key` is no valid key.
 */
export function useRecordSync(
  table: string,
  key: IDBValidKey,
  options: UseSyncOptions = {},
): RecordSyncSnapshot {
  const { sync: source = SERVICE } = options
  // A date or a list may be a new object at every render, and is the same key.
  const lid = encodeKey(key)
  const record = useMemo(() => source.recordSync(table, decodeKey(lid)), [source, table, lid])
  return useSyncExternalStore(record.subscribe, record.getSnapshot, () => UNKNOWN_RECORD)
}

/** What {@link useSyncIssues} gives. */
export interface UseSyncIssues {
  /** What is held, oldest first; empty until it was read. The same list until it was read again. */
  readonly issues: readonly SyncIssue[]
  /**
   * Decides what becomes of an issue; resolves to whether that is stored here. The same function at
   * every render.
   */
  readonly resolve: (id: string, resolution: IssueResolution) => Promise<boolean>
}

/**
 * The user's changes that the server refused, that cannot be sent, or that another device's change
 * stands against. The list is read again whenever that may have changed.
 */
export function useSyncIssues(options: UseSyncOptions = {}): UseSyncIssues {
  const { sync: source = SERVICE } = options
  const [found, setFound] = useState(NOT_READ)
  const reason = useSyncExternalStore(
    source.subscribe,
    () => issuesReason(source.getStatus()),
    () => issuesReason(INITIAL_STATUS),
  )
  const userId = useSyncExternalStore(
    source.subscribe,
    () => source.getStatus().userId,
    () => null,
  )
  // biome-ignore lint/correctness/useExhaustiveDependencies: the reason is why it is read again
  useEffect(() => {
    let isCurrent = true
    source.listIssues().then((read) => {
      if (isCurrent) setFound((known) => foundNow(known, { source, userId, issues: read }))
    }, report)
    return () => {
      isCurrent = false
    }
  }, [source, userId, reason])
  // Those of another user are not shown while the next are read.
  const isTheirs = found.source === source && found.userId === userId
  const issues = isTheirs ? found.issues : NO_ISSUES
  const resolve = useMemo<UseSyncIssues['resolve']>(
    () => (id, resolution) => source.resolveIssue(id, resolution),
    [source],
  )
  return useMemo(() => ({ issues, resolve }), [issues, resolve])
}

const NO_ISSUES: readonly SyncIssue[] = []

/** What {@link useSyncIssues} has read, and whose it is. */
interface FoundIssues {
  readonly source: Source | undefined
  readonly userId: string | null
  readonly issues: readonly SyncIssue[]
}

/** The same as before where there were none and still are. */
function foundNow(known: FoundIssues, now: FoundIssues): FoundIssues {
  const isSame = known.source === now.source && known.userId === now.userId
  return isSame && known.issues.length + now.issues.length === 0 ? known : now
}

const NOT_READ: FoundIssues = { source: undefined, userId: null, issues: NO_ISSUES }

/** Changes whenever the list may have: what stands against an issue is renewed by syncs. */
function issuesReason({ held, conflicts, lastSyncTime }: SyncStatus): string {
  return JSON.stringify([held, conflicts, held > 0 && lastSyncTime])
}

interface Holders {
  /** The users that mounted components ask for, oldest first. */
  users: (string | null)[]
  ending: ReturnType<typeof setTimeout> | undefined
}

const holders = new WeakMap<Source, Holders>()

/** One more component uses `source`; the function that is given back ends that. */
function hold(source: Source, userId: string | null): () => void {
  const held = holders.get(source) ?? { users: [], ending: undefined }
  holders.set(source, held)
  clearTimeout(held.ending)
  held.users.push(userId)
  void source.start(wanted(held))
  return () => {
    held.users.splice(held.users.lastIndexOf(userId), 1)
    if (held.users.length > 0) {
      void source.start(wanted(held))
    } else {
      held.ending = setTimeout(() => source.stop(), LINGER_MS)
    }
  }
}

/** The newest component that names a user decides. */
function wanted({ users }: Holders): string | null {
  return users.findLast((user) => user !== null) ?? null
}

/** Equal as values: the same, or plain objects or lists whose parts are the same. */
function shallowEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) {
    return true
  }
  if (!isPlain(a) || !isPlain(b) || Array.isArray(a) !== Array.isArray(b)) {
    return false
  }
  const entries = Object.entries(a)
  return (
    entries.length === Object.keys(b).length &&
    entries.every(([name, value]) => Object.hasOwn(b, name) && Object.is(value, b[name]))
  )
}

function isPlain(value: unknown): value is Record<string, unknown> {
  const prototype =
    typeof value === 'object' && value !== null ? Object.getPrototypeOf(value) : undefined
  return prototype === Object.prototype || prototype === Array.prototype || prototype === null
}
