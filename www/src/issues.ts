/**
 * What the server refused, what cannot be sent, and what another device's change stands against: kept,
 * with the reason, until a later change of the record replaces it or somebody decides.
 */

import { HELD_STORE } from './capture/names'
import { TidesyncError } from './error'
import { decodeKey, encodeKey } from './key'
import type { BlobMap } from './shell/blob-lane'
import type { TableKeys } from './shell/connection'
import type { Choice, RecordName } from './shell/interface'
import { appValue, checkKey } from './shell/records'
import { Slots } from './shell/slots'
import { result } from './shell/storage'

/** A change that is held. */
export interface SyncIssue {
  /** Names it to `resolveIssue`. */
  readonly id: string
  readonly table: string
  /** The record's key. */
  readonly key: IDBValidKey
  /** Why, for programs: a code of the protocol, or why the value has no wire form. */
  readonly code: string
  /** Why, for people. */
  readonly message: string
  /** When, in ms since 1970. */
  readonly at: number
  /** The server's version of the record that the change was made on; 0 where it had none. */
  readonly base: number
  /** Whether another device's change stands against it: then `remote` is what the server has. */
  readonly conflict: boolean
  /** The record as it is here; null where it was removed. */
  readonly local: unknown
  /**
   * The record as the server has it; null where it was removed, and where this is no conflict;
   * undefined where it has files that are not here.
   */
  readonly remote: unknown
}

/** What becomes of an issue. */
export type IssueResolution =
  /** The record as it is here is sent again, on what the server has now. */
  | 'local'
  /** The record becomes what the server has. */
  | 'remote'
  /** The record becomes this, here and on the server; null removes it. */
  | { readonly value: unknown }

/** A row of the store of what is held, as the shell writes it. */
interface Row {
  readonly table: string
  readonly lid: string
  readonly code: string
  readonly message: string
  readonly at: number
  readonly user: string
  readonly base: number
  /** The server's record, as JSON. */
  readonly remote?: string
  /** The bytes of the Blobs that it names. */
  readonly blobs?: BlobMap
}

/** Reads what is held of a user's changes, oldest first. */
export async function readIssues(database: IDBDatabase, user: string | null): Promise<SyncIssue[]> {
  const tables = Array.from(database.objectStoreNames)
  const transaction = database.transaction([HELD_STORE, ...tables])
  const held = transaction.objectStore(HELD_STORE)
  const [ids, rows] = await Promise.all([result(held.getAllKeys()), result<Row[]>(held.getAll())])
  const own = rows.flatMap((row, index) => (row.user === user ? [{ row, id: ids[index] }] : []))
  const issues = own.map(async ({ row, id }) => {
    const { table, lid, code, message, at, base } = row
    const key = decodeKey(lid)
    const store = tables.includes(table) ? transaction.objectStore(table) : undefined
    const local = store === undefined ? undefined : await result<unknown>(store.get(key))
    return {
      id: String(id),
      ...{ table, key, code, message, at, base },
      conflict: row.remote !== undefined,
      local: local ?? null,
      remote: remoteValue(row, store),
    }
  })
  return (await Promise.all(issues)).sort((a, b) => a.at - b.at)
}

/** Why a record is held; `held` where that cannot be read. */
export async function heldCode(
  database: IDBDatabase | undefined,
  user: string | null,
  { table, lid }: RecordName,
): Promise<string> {
  try {
    const store = database?.transaction(HELD_STORE).objectStore(HELD_STORE)
    const rows = store === undefined ? [] : await result<Row[]>(store.getAll())
    const row = rows.find((it) => it.table === table && it.lid === lid && it.user === user)
    return row?.code ?? 'held'
  } catch {
    return 'held'
  }
}

/**
 * What the engine is told of a decision.
 * @throws TidesyncError `cannot-be-sent` for a value that has no wire form, `key-changed` for one with
 * the key of another record.
 */
export async function choiceOf(
  database: IDBDatabase,
  { table, key }: SyncIssue,
  resolution: IssueResolution,
): Promise<{ choice: Choice; blobs?: BlobMap | undefined }> {
  if (typeof resolution === 'string') return { choice: { take: resolution } }
  const { value } = resolution
  if (value === null || value === undefined) return { choice: { take: 'value', value: null } }
  const store = database.transaction(table).objectStore(table)
  checkKey(value, encodeKey(key), store)
  const form = await new Slots(() => store).wireFormOf(table, value)
  if ('json' in form) return { choice: { take: 'value', value: form.json }, blobs: form.blobs }
  throw new TidesyncError(
    'cannot-be-sent',
    `Tidesync: the value cannot be sent: ${form.code} ${form.path}`,
  )
}

function remoteValue({ remote, lid, blobs }: Row, keys: TableKeys | undefined): unknown {
  if (remote === undefined) return null
  const { value } = JSON.parse(remote) as { value?: unknown }
  return value === undefined ? null : readForm(value, lid, keys, blobs)
}

/**
 * The value of a wire form that is parsed already, as the app has it; undefined where it names what
 * this browser has not.
 */
export function readForm(form: unknown, lid: string, keys?: TableKeys, blobs?: BlobMap): unknown {
  try {
    return appValue(JSON.stringify(form), lid, keys, blobs)
  } catch (error) {
    if (error instanceof TidesyncError) return undefined
    throw error
  }
}
