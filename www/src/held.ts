/** What the server refused or what cannot be sent: kept, with the reason, until a later change of the record replaces it. */

import { HELD_STORE } from './capture/names'
import { decodeKey } from './key'

/** A change that is held. */
export interface HeldChange {
  /** The operation's id. */
  readonly op: string
  readonly table: string
  /** The record's key. */
  readonly key: IDBValidKey
  /** Why, for programs: a code of the protocol, or why the value has no wire form. */
  readonly code: string
  /** Why, for people. */
  readonly message: string
  /** When, in ms since 1970. */
  readonly at: number
}

interface Row {
  table: string
  lid: string
  code: string
  message: string
  at: number
}

/** Reads all held changes of a database. */
export async function readHeld(database: IDBDatabase): Promise<HeldChange[]> {
  const store = database.transaction(HELD_STORE).objectStore(HELD_STORE)
  const [ops, rows] = await Promise.all([
    result<IDBValidKey[]>(store.getAllKeys()),
    result<Row[]>(store.getAll()),
  ])
  return rows.map(({ table, lid, code, message, at }, index) => ({
    op: String(ops[index]),
    table,
    key: decodeKey(lid),
    code,
    message,
    at,
  }))
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
