/** The app's own database code: plain IndexedDB. Tidesync is the two calls in `openDatabase`. */

import { attach, installTidesync } from 'tidesync'
import type { Device } from './devices'
import type { User } from './users'

export interface Note {
  readonly id: string
  readonly title: string
  readonly text: string
  readonly createdAt: Date
}

/** What of a note is written by hand. */
export type NoteChange = Partial<Pick<Note, 'title' | 'text'>>

/** Opens a user's database on a device. */
export function openDatabase(device: Device, user: User): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(`demo-${device.id}-${user.id}`, 1)
    request.onupgradeneeded = () => {
      const database = request.result
      const notes = database.createObjectStore('notes', { keyPath: 'id' })
      notes.createIndex('byCreation', 'createdAt')
      installTidesync(database, request.transaction)
    }
    request.onsuccess = () => {
      const database = request.result
      database.onversionchange = () => database.close()
      attach(database)
      resolve(database)
    }
    request.onerror = () => reject(request.error)
  })
}

/** The newest `limit` notes. */
export function listNotes(database: IDBDatabase, limit: number): Promise<Note[]> {
  const request = store(database).index('byCreation').openCursor(null, 'prev')
  const notes: Note[] = []
  return new Promise((resolve, reject) => {
    request.onsuccess = () => {
      const cursor = request.result
      if (cursor === null || notes.length === limit) {
        resolve(notes)
      } else {
        notes.push(cursor.value)
        cursor.continue()
      }
    }
    request.onerror = () => reject(request.error)
  })
}

export function countNotes(database: IDBDatabase): Promise<number> {
  return result(store(database).count())
}

export function getNote(database: IDBDatabase, id: string): Promise<Note | undefined> {
  return result(store(database).get(id))
}

/** Saves any number of notes in one transaction. */
export function saveNotes(database: IDBDatabase, notes: readonly Note[]): Promise<void> {
  const transaction = database.transaction('notes', 'readwrite')
  for (const note of notes) {
    transaction.objectStore('notes').put(note)
  }
  return done(transaction)
}

/** Changes a note as it is now; one that is gone stays so. */
export function changeNote(database: IDBDatabase, id: string, change: NoteChange): Promise<void> {
  const transaction = database.transaction('notes', 'readwrite')
  const notes = transaction.objectStore('notes')
  const request: IDBRequest<Note | undefined> = notes.get(id)
  request.onsuccess = () => {
    if (request.result !== undefined) {
      notes.put({ ...request.result, ...change })
    }
  }
  return done(transaction)
}

export function deleteNote(database: IDBDatabase, id: string): Promise<void> {
  const transaction = database.transaction('notes', 'readwrite')
  transaction.objectStore('notes').delete(id)
  return done(transaction)
}

/** Saves notes where there are none. */
export function saveFirstNotes(database: IDBDatabase, first: readonly Note[]): Promise<void> {
  const transaction = database.transaction('notes', 'readwrite')
  const notes = transaction.objectStore('notes')
  const request = notes.count()
  request.onsuccess = () => {
    if (request.result === 0) {
      for (const note of first) {
        notes.put(note)
      }
    }
  }
  return done(transaction)
}

function store(database: IDBDatabase): IDBObjectStore {
  return database.transaction('notes').objectStore('notes')
}

function result<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

function done(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve()
    transaction.onabort = () => reject(transaction.error)
  })
}
