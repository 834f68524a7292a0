/** What has just come from another device, to be shown for a moment. */

import { getAutoSyncStatus, type StorageEvent } from 'tidesync'
import { Store } from './store'

/** How long an arrival is shown. */
const SHOWN_MS = 4_000

/** The ids of notes that have just been changed from elsewhere. */
export const arrivals = new Store<ReadonlySet<string>>(new Set())

const timers = new Map<string, ReturnType<typeof setTimeout>>()

/**
 * Listens to every storage event. What a new device starts with is no arrival, and what is changed
 * here is one no longer.
 */
export function noteArrival({ origin, operation, recordId }: StorageEvent): void {
  if (typeof recordId !== 'string') {
    return
  }
  const isFirst = getAutoSyncStatus().lastSyncTime === 0
  if (origin !== 'remote' || operation === 'delete' || isFirst) {
    leave(recordId)
    return
  }
  clearTimeout(timers.get(recordId))
  timers.set(
    recordId,
    setTimeout(() => leave(recordId), SHOWN_MS),
  )
  if (!arrivals.get().has(recordId)) {
    arrivals.set(new Set([...arrivals.get(), recordId]))
  }
}

function leave(id: string): void {
  clearTimeout(timers.get(id))
  timers.delete(id)
  if (arrivals.get().has(id)) {
    arrivals.set(new Set([...arrivals.get()].filter((other) => other !== id)))
  }
}
