/** The least app: it puts one record as soon as its page is there. */

import { notes } from './records'

/** Milliseconds from the beginning of the page's load to the commit. */
export const firstPut: Promise<number> = new Promise((resolve, reject) => {
  const opening = indexedDB.open('first', 1)
  opening.onupgradeneeded = () => opening.result.createObjectStore('notes', { keyPath: 'id' })
  opening.onerror = () => reject(opening.error)
  opening.onsuccess = () => {
    const transaction = opening.result.transaction('notes', 'readwrite')
    transaction.objectStore('notes').put(notes(1, 1)[0])
    transaction.onabort = () => reject(transaction.error)
    transaction.oncomplete = () => resolve(performance.now())
  }
})
