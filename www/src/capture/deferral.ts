/**
 * While a `commit()` waits for a generated key, the app must find its transaction as inactive as after
 * the native commit. The guards are in place only as long as a transaction waits.
 *
 * `advance`, `continue` and `continuePrimaryKey` are never guarded: `idb` knows them by identity, and would take
 * a guard for a method that moves no cursor. A cursor of a waiting transaction so moves on until the native commit.
 */

import { Patches } from './patches'

const waiting = new Set<IDBTransaction>()
let guards: Patches | undefined

/** From now on the transaction takes nothing from the app. */
export function deferCommit(transaction: IDBTransaction): void {
  waiting.add(transaction)
  guards ??= guard()
}

/** The transaction waits no longer. */
export function resumeCommit(transaction: IDBTransaction): void {
  waiting.delete(transaction)
  if (waiting.size === 0 && guards?.restore()) guards = undefined
}

const READS = [
  'get',
  'getKey',
  'getAll',
  'getAllKeys',
  'getAllRecords',
  'count',
  'openCursor',
  'openKeyCursor',
]
const WRITES = ['put', 'add', 'delete', 'clear']
const CURSOR_WRITES = ['update', 'delete']

function guard(): Patches {
  const patches = new Patches()
  const inactive = 'TransactionInactiveError'
  for (const name of [...READS, ...WRITES]) {
    refuse(patches, IDBObjectStore.prototype, name, inactive, (store) => store.transaction)
  }
  for (const name of READS) {
    refuse(patches, IDBIndex.prototype, name, inactive, (index) => index.objectStore.transaction)
  }
  for (const name of CURSOR_WRITES) {
    refuse(patches, IDBCursor.prototype, name, inactive, ({ source }) =>
      source instanceof IDBIndex ? source.objectStore.transaction : source.transaction,
    )
  }
  for (const name of ['commit', 'abort']) {
    refuse(patches, IDBTransaction.prototype, name, 'InvalidStateError', (self) => self)
  }
  return patches
}

function refuse<T extends object>(
  patches: Patches,
  prototype: T,
  name: string,
  error: string,
  transactionOf: (self: T) => IDBTransaction,
): void {
  patches.method(prototype, name as string & keyof T, (native) => {
    return function (...args) {
      if (waiting.has(transactionOf(this as T))) {
        throw new DOMException(
          `Failed to execute '${name}' on '${prototype.constructor.name}': The transaction is committing.`,
          error,
        )
      }
      return native.apply(this, args)
    }
  })
}
