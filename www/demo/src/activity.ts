/** What happens, for the panel's log: Tidesync's own lines and the changes of the database. */

import type { Logger, StorageEvent } from 'tidesync'
import { Store } from './store'

/** A line of Tidesync's log, or changes of one kind in a row. */
export type Activity = LogLine | Changes

interface LogLine {
  readonly kind: 'log'
  readonly id: number
  readonly at: Date
  readonly level: Parameters<Logger>[0]
  readonly text: string
}

interface Changes {
  readonly kind: 'changes'
  readonly id: number
  readonly at: Date
  readonly table: string
  readonly operation: StorageEvent['operation']
  readonly origin: StorageEvent['origin']
  readonly count: number
}

const ENTRIES_MAX = 60
/** Changes of one kind within this time are one entry. */
const TOGETHER_MS = 1_500

/** Latest first. */
export const activity = new Store<readonly Activity[]>([])

let nextId = 1

/** Tidesync's logger. */
export const logToPage: Logger = (level, text) => {
  if (level !== 'debug') {
    add({ kind: 'log', id: newId(), at: new Date(), level, text })
  }
}

/** Listens to every storage event. */
export function logStorageEvent({ tableName, operation, origin, timestamp }: StorageEvent): void {
  const [last, ...rest] = activity.get()
  const at = new Date(timestamp)
  if (
    last?.kind === 'changes' &&
    last.table === tableName &&
    last.operation === operation &&
    last.origin === origin &&
    at.getTime() - last.at.getTime() < TOGETHER_MS
  ) {
    activity.set([{ ...last, at, count: last.count + 1 }, ...rest])
  } else {
    add({ kind: 'changes', id: newId(), at, table: tableName, operation, origin, count: 1 })
  }
}

function add(entry: Activity): void {
  activity.set([entry, ...activity.get()].slice(0, ENTRIES_MAX))
}

function newId(): number {
  nextId += 1
  return nextId
}
