/** What has just come from another device, to be shown for a moment. */

import { getAutoSyncStatus, type StorageEvent } from 'tidesync'
import { Store } from './store'

/** How long an arrival is shown. */
const SHOWN_MS = 4_000
/** What arrives within this time of another leaves with it: a thousand notes leave at once. */
const TOGETHER_MS = 250

/** The ids of notes that have just been changed from elsewhere. */
export const arrivals = new Store<ReadonlySet<string>>(new Set())

/** When each of them leaves, in ms of the monotonic clock; the same ids as `arrivals`. */
const leavesAt = new Map<string, number>()
let isWaiting = false

/**
 * Listens to every storage event. What a new device starts with is no arrival, and what is changed
 * here is one no longer.
 */
export function noteArrival({ origin, operation, recordId }: StorageEvent): void {
  if (typeof recordId !== 'string') {
    return
  }
  const isFirst = getAutoSyncStatus().lastSyncTime === 0
  const wasShown = leavesAt.delete(recordId)
  const isShown = origin === 'remote' && operation !== 'delete' && !isFirst
  if (isShown) {
    leavesAt.set(recordId, performance.now() + SHOWN_MS)
    waitFor(SHOWN_MS)
  }
  if (isShown !== wasShown) {
    tellSoon()
  }
}

function waitFor(ms: number): void {
  if (!isWaiting) {
    isWaiting = true
    setTimeout(leave, ms + TOGETHER_MS)
  }
}

/** Those whose time is over leave, and the rest when theirs is. */
function leave(): void {
  isWaiting = false
  const now = performance.now()
  for (const [id, at] of leavesAt) {
    if (at <= now) {
      leavesAt.delete(id)
    }
  }
  const [next] = leavesAt.values()
  if (next !== undefined) {
    waitFor(next - now)
  }
  tellSoon()
}

let isTelling = false

/** Once for all changes of a transaction. */
function tellSoon(): void {
  if (isTelling) {
    return
  }
  isTelling = true
  queueMicrotask(() => {
    isTelling = false
    arrivals.set(new Set(leavesAt.keys()))
  })
}
