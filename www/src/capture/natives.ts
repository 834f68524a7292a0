/** The browser's own methods, as they were when capture last began. */
export interface Natives {
  readonly transaction: IDBDatabase['transaction']
  readonly close: IDBDatabase['close']
  readonly commit: IDBTransaction['commit']
  readonly abort: IDBTransaction['abort']
  readonly put: IDBObjectStore['put']
  readonly add: IDBObjectStore['add']
  readonly delete: IDBObjectStore['delete']
  readonly clear: IDBObjectStore['clear']
  readonly getKey: IDBObjectStore['getKey']
  readonly update: IDBCursor['update']
  readonly deleteAtCursor: IDBCursor['delete']
  readonly databaseNames: (this: IDBDatabase) => DOMStringList
  readonly transactionNames: (this: IDBTransaction) => DOMStringList
}

let kept: Natives | undefined

/** Keeps the methods as they are now; called right before they are patched. */
export function keepNatives(): Natives {
  kept = {
    transaction: IDBDatabase.prototype.transaction,
    close: IDBDatabase.prototype.close,
    commit: IDBTransaction.prototype.commit,
    abort: IDBTransaction.prototype.abort,
    put: IDBObjectStore.prototype.put,
    add: IDBObjectStore.prototype.add,
    delete: IDBObjectStore.prototype.delete,
    clear: IDBObjectStore.prototype.clear,
    getKey: IDBObjectStore.prototype.getKey,
    update: IDBCursor.prototype.update,
    deleteAtCursor: IDBCursor.prototype.delete,
    databaseNames: getter(IDBDatabase.prototype, 'objectStoreNames'),
    transactionNames: getter(IDBTransaction.prototype, 'objectStoreNames'),
  }
  return kept
}

/** The kept methods. Capture keeps them before anything can ask. */
export function natives(): Natives {
  return kept ?? keepNatives()
}

function getter<T extends object>(prototype: T, name: string): (this: T) => DOMStringList {
  const get = Object.getOwnPropertyDescriptor(prototype, name)?.get
  if (get === undefined) throw new TypeError(`this browser has no ${name}`)
  return get
}
