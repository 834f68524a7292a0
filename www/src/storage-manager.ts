/** A storage manager over an app's own IndexedDB: every write is captured, and is settled when it is durable. */

import { attach } from './capture'
import { inlineKey } from './capture/snapshot'
import { TidesyncError } from './error'

/** Tables and the types of their records, such as `{ files: File; workspaces: Workspace }`. */
export type Schema = Record<string, unknown>

type Table<S> = keyof S & string

/**
 * Create, read, update and delete on the tables of an installed database (R060). Each call is one transaction.
 * Its promise settles when that transaction completes or aborts, never before: a full disk reports success for
 * each request and aborts afterwards. Failures are {@link TidesyncError}s with the browser's error as `cause`:
 * `already-exists`, `not-found`, `key-changed`, `invalid-record` (a key or value that IndexedDB refuses),
 * `unknown-table`, `storage-full`, `storage-closed`, `storage-failed`.
 */
export class StorageManager<S extends object = Schema> {
  readonly #database: IDBDatabase

  /**
   * Attaches `database`, raw or wrapped by `idb`, if it is not attached yet.
   * @throws TidesyncError `not-installed`, as {@link attach} does.
   */
  constructor(database: IDBDatabase) {
    this.#database = attach(database).database
  }

  /** Adds a record and gives its key. `key` is for tables whose records do not hold it. Fails with `already-exists`. */
  create<T extends Table<S>>(table: T, record: S[T], key?: IDBValidKey): Promise<IDBValidKey> {
    return this.#write(table, (store) => store.add(record, key))
  }

  /**
   * Changes a record: `changes` are merged over its top-level fields, or make the new record from the old one.
   * Gives the new record. Fails with `not-found`, and with `key-changed` when the record holds its key and the new
   * one has another, or none: that would be a second record beside the old one.
   */
  update<T extends Table<S>>(
    table: T,
    key: IDBValidKey,
    changes: Partial<S[T]> | ((old: S[T]) => S[T]),
  ): Promise<S[T]> {
    return this.#run(table, 'readwrite', (store, give, fail) => {
      const read = store.get(key)
      read.addEventListener('success', () => {
        if (read.result === undefined) {
          fail(new TidesyncError('not-found', `"${table}" has no such record.`))
          return
        }
        attempt(fail, () => {
          const next = changed(read.result as S[T], changes)
          store.put(next, store.keyPath === null ? key : undefined)
          if (keepsKey(next, key, store)) give(next)
          else
            fail(new TidesyncError('key-changed', `An update in "${table}" cannot change the key.`))
        })
      })
    })
  }

  /** Deletes a record; that it does not exist is no failure. */
  delete(table: Table<S>, key: IDBValidKey): Promise<void> {
    return this.#write(table, (store) => store.delete(key))
  }

  /** A record, or undefined. */
  get<T extends Table<S>>(table: T, key: IDBValidKey): Promise<S[T] | undefined> {
    return this.#read(table, (store) => store.get(key))
  }

  /** The records of a table in the order of their keys: all, those in a range, or the first `count`. */
  getAll<T extends Table<S>>(table: T, query?: IDBKeyRange, count?: number): Promise<S[T][]> {
    return this.#read(table, (store) => store.getAll(query, count))
  }

  /** Puts all records or none. `keys`, one for each record, are for tables whose records do not hold them. */
  bulkPut<T extends Table<S>>(
    table: T,
    records: readonly S[T][],
    keys?: readonly IDBValidKey[],
  ): Promise<void> {
    return this.#run(table, 'readwrite', (store) => {
      for (const [index, record] of records.entries()) store.put(record, keys?.[index])
    })
  }

  /** Deletes all these records or none. */
  bulkDelete(table: Table<S>, keys: readonly IDBValidKey[]): Promise<void> {
    return this.#run(table, 'readwrite', (store) => {
      for (const key of keys) store.delete(key)
    })
  }

  /** Deletes all records of a table. */
  clear(table: Table<S>): Promise<void> {
    return this.#write(table, (store) => store.clear())
  }

  #read<R>(table: string, work: (store: IDBObjectStore) => IDBRequest<R>): Promise<R> {
    return this.#request(table, 'readonly', work)
  }

  #write<R>(table: string, work: (store: IDBObjectStore) => IDBRequest<R>): Promise<R> {
    return this.#request(table, 'readwrite', work)
  }

  #request<R>(
    table: string,
    mode: IDBTransactionMode,
    work: (store: IDBObjectStore) => IDBRequest<R>,
  ): Promise<R> {
    return this.#run(table, mode, (store, give) => {
      const request = work(store)
      request.addEventListener('success', () => give(request.result))
    })
  }

  #run<R>(table: string, mode: IDBTransactionMode, work: Work<R>): Promise<R> {
    return new Promise((resolve, reject) => {
      let result: R | undefined
      let failure: unknown
      const transaction = begin(this.#database, table, mode)
      const fail = (error: unknown): void => {
        failure = error
        transaction.abort()
      }
      transaction.addEventListener('complete', () => resolve(result as R))
      transaction.addEventListener('abort', () => reject(typed(failure ?? transaction.error)))
      attempt(fail, () => {
        const give = (value: R): void => {
          result = value
        }
        work(transaction.objectStore(table), give, fail)
      })
    })
  }
}

type Work<R> = (
  store: IDBObjectStore,
  give: (result: R) => void,
  fail: (error: unknown) => void,
) => void

function begin(database: IDBDatabase, table: string, mode: IDBTransactionMode): IDBTransaction {
  try {
    return database.transaction(table, mode)
  } catch (error) {
    throw typed(error)
  }
}

function attempt(fail: (error: unknown) => void, work: () => void): void {
  try {
    work()
  } catch (error) {
    fail(error)
  }
}

function changed<R>(old: R, changes: Partial<R> | ((old: R) => R)): R {
  return typeof changes === 'function' ? changes(old) : { ...old, ...changes }
}

/** Whether a record that the store has accepted is still the one under `key`. */
function keepsKey(record: unknown, key: IDBValidKey, store: IDBObjectStore): boolean {
  if (store.keyPath === null) return true
  const inline = inlineKey(record, store)
  return inline !== undefined && indexedDB.cmp(inline, key) === 0
}

const CODES: Readonly<Record<string, readonly [code: string, message: string]>> = {
  ConstraintError: ['already-exists', 'A record with this key, or this unique value, exists.'],
  DataError: ['invalid-record', 'The key is missing or is not one that IndexedDB takes.'],
  DataCloneError: ['invalid-record', 'The record holds something that IndexedDB cannot store.'],
  NotFoundError: ['unknown-table', 'The database has no such table.'],
  QuotaExceededError: ['storage-full', 'The browser gives this site no more storage.'],
  InvalidStateError: ['storage-closed', 'The connection to the database is closed.'],
}

/** What the caller gets: our own errors and those of the caller's functions as they are, the browser's with a code. */
function typed(error: unknown): Error {
  const isOfBrowser = error instanceof DOMException || error === null || error === undefined
  if (!isOfBrowser) return error instanceof Error ? error : new Error(String(error))
  const [code, message] = CODES[error?.name ?? ''] ?? [
    'storage-failed',
    'The browser could not carry out the transaction.',
  ]
  return new TidesyncError(code, `Tidesync: ${message}`, { cause: error })
}
