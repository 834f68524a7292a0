/** The same app with Tidesync. */

import { installTidesync } from '../../www/src/capture'
import { createCloudSync } from '../../www/src/sync'
import { notes } from './records'

const sync = createCloudSync({
  url: '/',
  getToken: () => 'token',
  enabled: false,
  logger: () => undefined,
})

/** Milliseconds from the beginning of the page's load to the commit. */
export const firstPut: Promise<number> = new Promise((resolve, reject) => {
  const opening = indexedDB.open('first', 1)
  opening.onupgradeneeded = () => {
    opening.result.createObjectStore('notes', { keyPath: 'id' })
    installTidesync(opening.result, opening.transaction)
  }
  opening.onerror = () => reject(opening.error)
  opening.onsuccess = () => {
    sync.attach(opening.result)
    void sync.start('user')
    const transaction = opening.result.transaction('notes', 'readwrite')
    transaction.objectStore('notes').put(notes(1, 1)[0])
    transaction.onabort = () => reject(transaction.error)
    transaction.oncomplete = () => resolve(performance.now())
  }
})
