/** Puts capture into the prototypes of IndexedDB, and takes it out again. */

import { tellCommitted } from './commits'
import { deferCommit, resumeCommit } from './deferral'
import { logStoreName, withoutOurs } from './names'
import { keepNatives, natives } from './natives'
import { type Callable, Patches } from './patches'
import { type Tracking, TransactionRecorder } from './recorder'
import type { TableLog } from './table-log'

const tracked = new WeakMap<IDBDatabase, Tracking>()
const hiding = new WeakSet<IDBDatabase>()
const recorders = new WeakMap<IDBTransaction, TransactionRecorder>()
const logs = new WeakMap<IDBObjectStore, TableLog>()

let patches: Patches | undefined
/** Tracked connections and recorded transactions: while there are any, the patches stay. */
let users = 0
/** The object that a patched getter was last read on. */
let probed: unknown

/** Records the transactions of a connection from now on. */
export function track(database: IDBDatabase, tracking: Tracking): void {
  prepare(database)
  tracked.set(database, tracking)
}

/** Records no further transactions of a connection; those under way are recorded to their end. */
export function untrack(database: IDBDatabase, reveal: boolean): void {
  if (reveal) hiding.delete(database)
  if (tracked.delete(database)) release()
}

/** Records a transaction that is under way already, that of an upgrade. */
export function recordUpgrade(transaction: IDBTransaction, tracking: Tracking): void {
  prepare(transaction.db)
  recorders.set(transaction, new TransactionRecorder(transaction, tracking, recorderEvents))
}

/** The recorder of a transaction, if it is or was recorded. */
export function recorderOf(transaction: IDBTransaction): TransactionRecorder | undefined {
  return recorders.get(transaction)
}

/** All object stores of a connection, ours as well. */
export function allStores(database: IDBDatabase): string[] {
  return Array.from(
    patches === undefined ? database.objectStoreNames : natives().databaseNames.call(database),
  )
}

/** The browser's own object behind one that hands property reads on to it, as the proxies of `idb` do. */
export function unwrap<T extends IDBDatabase | IDBTransaction>(object: T): T {
  patches ??= patch()
  probed = undefined
  void object.objectStoreNames
  const raw = probed as T | undefined
  probed = undefined
  restoreIfUnused()
  return raw ?? object
}

const recorderEvents = {
  deferred: ({ transaction }: TransactionRecorder): void => deferCommit(transaction),
  resumed: ({ transaction }: TransactionRecorder): void => resumeCommit(transaction),
  ended: (recorder: TransactionRecorder, committed: boolean): void => {
    release()
    if (committed) tellCommitted(recorder)
  },
}

function prepare(database: IDBDatabase): void {
  patches ??= patch()
  users += 1
  hiding.add(database)
  // The first of all listeners on a request's way: what failed is taken back before the app can know of it.
  database.addEventListener('error', onError, true)
}

function release(): void {
  users -= 1
  restoreIfUnused()
}

function restoreIfUnused(): void {
  if (users === 0 && patches?.restore()) patches = undefined
}

function onError(event: Event): void {
  const request = event.target
  if (!(request instanceof IDBRequest) || request.transaction === null) return
  const recorder = recorders.get(request.transaction)
  if (recorder === undefined) return
  // The app is told of a failed log request by the abort that follows, as of a full disk.
  if (recorder.owns(request)) event.stopImmediatePropagation()
  else if (request.error?.name !== 'AbortError') recorder.failed(request)
}

function patch(): Patches {
  keepNatives()
  const made = new Patches()
  patchDatabase(made)
  patchTransaction(made)
  patchStore(made)
  patchCursor(made)
  return made
}

function patchDatabase(made: Patches): void {
  const prototype = IDBDatabase.prototype
  made.method(prototype, 'transaction', (native) => transactionOver(native))
  made.method(prototype, 'close', (native) => {
    return function (...args) {
      const result = native.apply(this, args)
      tracked.get(this as IDBDatabase)?.closed?.()
      return result
    }
  })
  made.getter(prototype, 'objectStoreNames', (native) => {
    return function (this: unknown) {
      probed = this
      const list = native.call(this) as DOMStringList
      return hiding.has(this as IDBDatabase) ? withoutOurs(list) : list
    }
  })
}

/** `transaction`, with the logs of the tracked tables in its scope. */
function transactionOver(native: Callable): Callable {
  return function (...args) {
    const tracking = tracked.get(this as IDBDatabase)
    const names = tracking === undefined || args[1] === undefined ? undefined : scopeOf(args[0])
    if (tracking === undefined || names === undefined) return native.apply(this, args)
    const [, mode, ...rest] = args
    const modeText = String(mode)
    const added = modeText === 'readwrite' ? names.filter((name) => tracking.tables.has(name)) : []
    const scope = [...names, ...added.map(logStoreName)]
    const transaction = native.call(this, scope, modeText, ...rest) as IDBTransaction
    if (added.length > 0) {
      users += 1
      recorders.set(transaction, new TransactionRecorder(transaction, tracking, recorderEvents))
    }
    return transaction
  }
}

/** The stores that the app names, read once as the browser reads them; undefined for what the browser will refuse. */
function scopeOf(names: unknown): string[] | undefined {
  if (typeof names === 'string') return [names]
  if (typeof names !== 'object' || names === null) return undefined
  if (!(Symbol.iterator in names)) return [String(names)]
  return Array.from(names as Iterable<unknown>, String)
}

function patchTransaction(made: Patches): void {
  const prototype = IDBTransaction.prototype
  made.method(prototype, 'commit', (native) => {
    return function (...args) {
      const recorder = recorders.get(this as IDBTransaction)
      return recorder === undefined ? native.apply(this, args) : recorder.commit()
    }
  })
  made.getter(prototype, 'objectStoreNames', (native) => {
    return function (this: unknown) {
      probed = this
      const list = native.call(this) as DOMStringList
      return recorders.has(this as IDBTransaction) ? withoutOurs(list) : list
    }
  })
}

function patchStore(made: Patches): void {
  const prototype = IDBObjectStore.prototype
  for (const name of ['put', 'add'] as const) {
    made.method(prototype, name, (native) => {
      return function (...args) {
        const request = native.apply(this, args) as IDBRequest
        const log = logOf(this as IDBObjectStore)
        log?.put(request, args[0], args[1] as IDBValidKey | undefined, name === 'add')
        return request
      }
    })
  }
  made.method(prototype, 'delete', (native) => {
    return function (...args) {
      const request = native.apply(this, args) as IDBRequest
      logOf(this as IDBObjectStore)?.delete(request, args[0] as IDBValidKey | IDBKeyRange)
      return request
    }
  })
  made.method(prototype, 'clear', (native) => {
    return function (...args) {
      const request = native.apply(this, args) as IDBRequest
      logOf(this as IDBObjectStore)?.clear(request)
      return request
    }
  })
}

function patchCursor(made: Patches): void {
  const prototype = IDBCursor.prototype
  made.method(prototype, 'update', (native) => {
    return function (...args) {
      const request = native.apply(this, args) as IDBRequest
      const cursor = this as IDBCursor
      logOf(storeOf(cursor))?.update(request, args[0], cursor.primaryKey)
      return request
    }
  })
  made.method(prototype, 'delete', (native) => {
    return function (...args) {
      const request = native.apply(this, args) as IDBRequest
      const cursor = this as IDBCursor
      logOf(storeOf(cursor))?.delete(request, cursor.primaryKey)
      return request
    }
  })
}

function storeOf({ source }: IDBCursor): IDBObjectStore {
  return source instanceof IDBIndex ? source.objectStore : source
}

/** The log of a store whose write the browser has just accepted. */
function logOf(store: IDBObjectStore): TableLog | undefined {
  const known = logs.get(store)
  if (known !== undefined) return known
  const log = recorders.get(store.transaction)?.logOf(store)
  if (log !== undefined) logs.set(store, log)
  return log
}
