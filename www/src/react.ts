'use client'

/** React's view of sync. */

import { useEffect, useMemo, useRef, useSyncExternalStore } from 'react'
import {
  forceSync,
  getAutoSyncStatus,
  releaseService,
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

/** What the hook needs of an instance. */
type Source = Pick<
  CloudSync,
  'start' | 'stop' | 'subscribe' | 'getStatus' | 'forceSync' | 'triggerBackup'
>

const SERVICE: Source = {
  start: startService,
  stop: releaseService,
  subscribe,
  getStatus: getAutoSyncStatus,
  forceSync,
  triggerBackup,
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
