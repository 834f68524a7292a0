'use client'

/** React's view of sync. */

import { useEffect, useMemo, useRef, useSyncExternalStore } from 'react'
import {
  forceSync,
  getAutoSyncStatus,
  startService,
  stopAutoSync,
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
  stop: stopAutoSync,
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
  const kept = useRef<Selected>(undefined)
  const selected = (status: SyncStatus): Selected => {
    const next = select === undefined ? (status as Selected) : select(status)
    if (kept.current === undefined || !shallowEqual(kept.current, next)) {
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
  count: number
  ending: ReturnType<typeof setTimeout> | undefined
}

const holders = new WeakMap<Source, Holders>()

/** One more component uses `source`; the function that is given back ends that. */
function hold(source: Source, userId: string | null): () => void {
  const held = holders.get(source) ?? { count: 0, ending: undefined }
  holders.set(source, held)
  clearTimeout(held.ending)
  held.count += 1
  void source.start(userId)
  return () => {
    held.count -= 1
    if (held.count === 0) {
      held.ending = setTimeout(() => source.stop(), LINGER_MS)
    }
  }
}

function shallowEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) {
    return true
  }
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) {
    return false
  }
  const entries = Object.entries(a)
  return (
    entries.length === Object.keys(b).length &&
    entries.every(([name, value]) => Object.is(value, (b as Record<string, unknown>)[name]))
  )
}
