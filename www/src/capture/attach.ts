/** Attaching: from here on, what an open connection writes to tracked tables is captured. */

import { report, TidesyncError } from '../error'
import { joinEvents } from '../events'
import { trackedTables } from './names'
import { allStores, track, untrack, unwrap } from './patch'
import type { Tracking, Writer } from './recorder'

/** An open connection whose writes are captured. */
export interface Attachment {
  /** The browser's own connection, also when a wrapped one was attached. */
  readonly database: IDBDatabase
  /** Name of the database. */
  readonly name: string
  /** The tables whose writes are captured. */
  readonly tables: readonly string[]
  /**
   * Under whom changes are logged, also those of the database's other connections in this page: a user, null for
   * nobody, undefined (the default) for whoever owns the database.
   */
  user: string | null | undefined
  /** Stops capturing new transactions of this connection. Those under way are captured to their end. */
  detach(): void
}

/** Why a connection is over: the app closed it or the browser did, or another tab asks for it to be closed. */
export type CloseReason = 'close' | 'versionchange'

type CloseListener = (databaseName: string, reason: CloseReason, database: IDBDatabase) => void

const attachments = new WeakMap<IDBDatabase, Attachment>()
const closeListeners = new Set<CloseListener>()
/** By database name, with how many attached connections share it. */
const writers = new Map<string, Writer & { connections: number }>()

/**
 * Captures every write of `database`, raw or wrapped by `idb`, from its next transaction on. Calling it again for
 * the same connection gives the same attachment. Accessor properties of a stored value run up to four times: once for
 * the browser, and two or three times for the log; those of its inline key once more. They must give the same each time.
 * @throws TidesyncError `not-installed` where {@link installTidesync} has not run in an upgrade.
 */
export function attach(database: IDBDatabase): Attachment {
  const raw = unwrap(database)
  const known = attachments.get(raw)
  if (known !== undefined) return known
  const tables = trackedTables(allStores(raw))
  if (tables.length === 0) {
    throw new TidesyncError(
      'not-installed',
      `Tidesync is not installed in the database "${raw.name}". Open it with a version one up and call installTidesync(db, transaction) in onupgradeneeded.`,
    )
  }
  const attachment = attachTo(raw, tables)
  attachments.set(raw, attachment)
  return attachment
}

/**
 * Calls `listener` when an attached connection is closed or asked to close. A page may hold several connections of
 * one database: `database` says which one it is, and is the browser's own. Returns the way to stop it.
 */
export function onClose(listener: CloseListener): () => void {
  const own: CloseListener = (name, reason, database) => listener(name, reason, database)
  closeListeners.add(own)
  return () => {
    closeListeners.delete(own)
  }
}

function attachTo(database: IDBDatabase, tables: readonly string[]): Attachment {
  const { name } = database
  const leaveEvents = joinEvents(name)
  const end = (reveal: boolean): void => {
    if (!attachments.delete(database)) return
    database.removeEventListener('versionchange', onVersionChange)
    database.removeEventListener('close', onClosed)
    untrack(database, reveal)
    leaveWriter(name)
    leaveEvents()
  }
  const onVersionChange = (): void => tellClose(database, 'versionchange')
  const onClosed = (): void => {
    end(false)
    tellClose(database, 'close')
  }
  const tracking: Tracking = {
    database: name,
    tables: new Set(tables),
    shapes: new Map(),
    writer: joinWriter(name),
    closed: onClosed,
  }
  database.addEventListener('versionchange', onVersionChange)
  database.addEventListener('close', onClosed)
  track(database, tracking)
  return {
    database,
    name,
    tables,
    get user() {
      return tracking.writer.user
    },
    set user(user) {
      tracking.writer.user = user
    },
    detach: () => end(true),
  }
}

function joinWriter(name: string): Writer {
  const writer = writers.get(name) ?? { user: undefined, connections: 0 }
  writer.connections += 1
  writers.set(name, writer)
  return writer
}

function leaveWriter(name: string): void {
  const writer = writers.get(name)
  if (writer === undefined) return
  writer.connections -= 1
  if (writer.connections === 0) writers.delete(name)
}

function tellClose(database: IDBDatabase, reason: CloseReason): void {
  for (const listener of [...closeListeners]) {
    if (!closeListeners.has(listener)) continue
    try {
      listener(database.name, reason, database)
    } catch (error) {
      report(error)
    }
  }
}
