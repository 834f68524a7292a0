/** What was resolved of conflicts on this device, by the server, by a strategy or by a person. */

import { HISTORY_STORE } from './capture/names'
import { readForm } from './issues'
import { decodeKey } from './key'
import { result } from './shell/storage'

/** One conflict that was resolved. */
export interface ResolvedConflict {
  /** When, in ms since 1970. */
  readonly at: number
  readonly table: string
  /** The record's key. */
  readonly key: IDBValidKey
  /** Who decided: `server` (field by field), a strategy of the table, or `user`. */
  readonly by: 'server' | 'client-priority' | 'server-priority' | 'custom' | 'user'
  /** The server's version of the record that the change here was made on; 0 for none. */
  readonly base: number
  /** The server's version that it met, or that came of it. */
  readonly version: number
  /** What was taken, where one decision was made for the record. */
  readonly took?: 'local' | 'remote' | 'value'
  /** What the server had, where one decision was made for the record; null where it was removed. */
  readonly remote?: unknown
  /** The fields that both sides had changed, where the server decided. */
  readonly fields?: readonly ResolvedField[]
}

/** A field that two devices changed to different values. */
export interface ResolvedField {
  /** Its name; empty for the record as a whole. */
  readonly field: string
  /** Whose change counts. */
  readonly winner: 'local' | 'remote'
  /** This device's value; undefined where it removed the field. */
  readonly local?: unknown
  /** The other device's. */
  readonly remote?: unknown
}

/** An entry as the engine writes it: values are wire forms. */
interface Entry extends Omit<ResolvedConflict, 'key'> {
  readonly user: string
  readonly lid: string
}

/** Reads what was resolved of a user's changes, newest first: the last 1,000. */
export async function readHistory(
  database: IDBDatabase,
  user: string | null,
): Promise<ResolvedConflict[]> {
  const store = database.transaction(HISTORY_STORE).objectStore(HISTORY_STORE)
  const entries = await result<Entry[]>(store.getAll())
  return entries
    .filter((entry) => entry.user === user)
    .map(conflictOf)
    .reverse()
}

function conflictOf({ user: _, lid, remote, fields, ...entry }: Entry): ResolvedConflict {
  return {
    ...entry,
    key: decodeKey(lid),
    ...(remote === undefined ? {} : { remote: readForm(remote, lid) }),
    ...(fields === undefined ? {} : { fields: fields.map((field) => fieldOf(field, lid)) }),
  }
}

function fieldOf({ local, remote, ...field }: ResolvedField, lid: string): ResolvedField {
  return {
    ...field,
    ...(local === undefined ? {} : { local: readForm(local, lid) }),
    ...(remote === undefined ? {} : { remote: readForm(remote, lid) }),
  }
}
