/** Keys of an app's store that generates them, taken before anything is stored under them. */

import { META_STORE } from '../capture/names'
import { injectKey } from '../capture/snapshot'
import type { Connection } from './connection'
import type { Reserve } from './interface'
import { conclude, result } from './storage'
import { checkFence } from './stores'

/**
 * Advances the key generator of a table and gives the first of the keys. Only a record makes a
 * generator move: one without a key shows where it stands, one with the last key moves it on, and both
 * are removed before anyone can see them.
 */
export async function reserve(
  connection: Connection,
  { fence, table, count }: Reserve,
): Promise<number> {
  const transaction = connection.begin([META_STORE, table], 'readwrite')
  return conclude(transaction, async () => {
    await checkFence(transaction, fence)
    const store = transaction.objectStore(table)
    const first = Number(await result(store.put({})))
    const last = first + count - 1
    if (last > first) putAt(store, last)
    store.delete(first)
    store.delete(last)
    return first
  })
}

function putAt(store: IDBObjectStore, key: number): void {
  if (typeof store.keyPath !== 'string') {
    store.put({}, key)
    return
  }
  const placeholder = {}
  injectKey(placeholder, store.keyPath, key)
  store.put(placeholder)
}
