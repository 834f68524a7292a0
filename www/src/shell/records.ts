/** Records of the app from their wire forms, and what the app is told of them. */

import type { Change } from '../capture/commits'
import { atKeyPath, injectKey } from '../capture/snapshot'
import type { CloudSyncOptions } from '../config'
import { TidesyncError } from '../error'
import { decodeKey, encodeKey } from '../key'
import { type BlobBytes, decodeValue, reviveValue } from '../values/decode'
import { type BlobName, canHash, namedBlobs, OWN_SPACE } from './blob-lane'
import { type Blobs, mayNameBlobs } from './blobs'
import type { TableKeys } from './connection'
import type { PutRecord, RecordName } from './interface'
import { StorageFailure } from './storage'

/** A record to be put into the app's store: `key` where the value does not hold it. */
export interface AppRecord {
  readonly value: unknown
  readonly key: IDBValidKey | undefined
}

/** A change, as far as it is read here. */
interface Pulled {
  readonly space?: unknown
  readonly table?: unknown
  readonly value?: unknown
}

/** The changes of the last pull, which writes name by their place. */
export class PulledChanges {
  #changes: readonly Pulled[] = []
  /** Decoding uses up what was parsed, also where it fails, and a transaction may be tried again. */
  readonly #values = new Map<number, () => unknown>()
  readonly #blobs: Blobs
  readonly #tables: CloudSyncOptions['tables']

  constructor(blobs: Blobs, tables?: CloudSyncOptions['tables']) {
    this.#blobs = blobs
    this.#tables = tables
  }

  /** Takes the changes of an answer, none where it is no answer to a pull, and gives the Blobs that they name. */
  keep(body: string): BlobName[] {
    this.#changes = changesOf(body)
    this.#values.clear()
    if (!mayNameBlobs(body)) return []
    return this.#changes.flatMap((change) => {
      // The engine takes over nothing else.
      const space = this.#tables?.[String(change.table)]?.space ?? OWN_SPACE
      return change.space === space ? namedBlobs(change, space) : []
    })
  }

  /** The value of the change at a place. */
  value(index: number): unknown {
    let value = this.#values.get(index)
    if (value === undefined) {
      value = this.#decoded(index)
      this.#values.set(index, value)
    }
    return value()
  }

  #decoded(index: number): () => unknown {
    const change = this.#changes[index]
    if (change === undefined) throw new StorageFailure({ kind: 'other', name: 'ChangeMissing' })
    try {
      const value = reviveValue(change.value, this.#blobs)
      return () => value
    } catch (error) {
      return () => {
        throw reasonOf(error)
      }
    }
  }
}

/** Why a value cannot be made: in insecure contexts no Blob is fetched. */
function reasonOf(error: unknown): unknown {
  const blind = error instanceof TidesyncError && error.code === 'blob-missing' && !canHash()
  return blind
    ? new TidesyncError('insecure-context', 'Files are taken over HTTPS and on localhost only.')
    : error
}

function changesOf(body: string): readonly Pulled[] {
  try {
    const { changes } = JSON.parse(body) as { changes?: unknown }
    return Array.isArray(changes) ? changes : []
  } catch {
    // The engine reads the same text and says what is wrong with it.
    return []
  }
}

/**
 * The record that a write names, ready to be put.
 *
 * @throws TidesyncError what decoding throws, and `key-changed` where the store would put it under
 * another key: over another record.
 */
export function appRecord(
  write: PutRecord,
  keys: TableKeys,
  pulled: PulledChanges,
  blobs: Blobs,
): AppRecord {
  const { value } = write
  const decoded = value.is === 'pulled' ? pulled.value(value.index) : decodeValue(value.text, blobs)
  const key = decodeKey(write.lid)
  if (keys.keyPath === null) return { value: decoded, key }
  const record = withKey(decoded, key, keys)
  if (!holdsKey(record, write.lid, keys)) throw keyChanged()
  return { value: record, key: undefined }
}

/**
 * Checks a value that is chosen for a record: it may leave out a key that the store generates.
 *
 * @throws TidesyncError `key-changed` where it has the key of another record, or none.
 */
export function checkKey(value: unknown, lid: string, keys: TableKeys): void {
  const generated = keys.autoIncrement && atKeyPath(value, keys) === undefined
  if (keys.keyPath !== null && !generated && !holdsKey(value, lid, keys)) throw keyChanged()
}

function holdsKey(value: unknown, lid: string, keys: TableKeys): boolean {
  try {
    return encodeKey(atKeyPath(value, keys) as IDBValidKey) === lid
  } catch (error) {
    // What is there is no key.
    if (error instanceof TidesyncError) return false
    throw error
  }
}

function keyChanged(): TidesyncError {
  return new TidesyncError(
    'key-changed',
    'Tidesync: the value does not have the key of its record.',
  )
}

/** The value of a wire form as the app has it. */
export function appValue(
  text: string,
  lid: string,
  keys: TableKeys | undefined,
  blobs?: BlobBytes,
): unknown {
  const value = decodeValue(text, blobs)
  return keys === undefined ? value : withKey(value, decodeKey(lid), keys)
}

/** A generated key means nothing on other devices, so no wire form has it: the value gets it back. */
function withKey(value: unknown, key: IDBValidKey, { keyPath, autoIncrement }: TableKeys): unknown {
  if (autoIncrement && typeof keyPath === 'string') injectKey(value, keyPath, key)
  return value
}

/** What the app is told of a record that was put. */
export function putChange({ table, lid }: RecordName, { value }: AppRecord): Change {
  return { table, operation: 'update', key: decodeKey(lid), lid, readValue: () => value }
}

/** What the app is told of a record that was removed. */
export function deleteChange({ table, lid }: RecordName): Change {
  return { table, operation: 'delete', key: decodeKey(lid), lid }
}
