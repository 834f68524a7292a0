/** The app's own database code: plain IndexedDB. Tidesync is the two calls in `openDatabase`. */

import { attach, installTidesync } from 'tidesync'

export interface Workspace {
  readonly id: string
  readonly name: string
  readonly createdAt: Date
}

export interface NoteFile {
  readonly id: string
  readonly workspaceId: string
  readonly name: string
  readonly content: string
  readonly createdAt: Date
  readonly updatedAt: Date
}

/** Opens a user's own database. */
export function openDatabase(userId: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(`notes-${userId}`, 1)
    request.onupgradeneeded = () => {
      const database = request.result
      database.createObjectStore('workspaces', { keyPath: 'id' })
      const files = database.createObjectStore('files', { keyPath: 'id' })
      files.createIndex('byWorkspace', ['workspaceId', 'createdAt'])
      addWelcome(request.transaction)
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

export async function listWorkspaces(database: IDBDatabase): Promise<Workspace[]> {
  const store = database.transaction('workspaces').objectStore('workspaces')
  const workspaces = await result<Workspace[]>(store.getAll())
  return workspaces.sort((a, b) => a.createdAt.getTime() - b.createdAt.getTime())
}

/** The newest `limit` files of a workspace. */
export function listFiles(
  database: IDBDatabase,
  workspaceId: string,
  limit: number,
): Promise<NoteFile[]> {
  const index = database.transaction('files').objectStore('files').index('byWorkspace')
  const request = index.openCursor(ofWorkspace(workspaceId), 'prev')
  const files: NoteFile[] = []
  return new Promise((resolve, reject) => {
    request.onsuccess = () => {
      const cursor = request.result
      if (cursor === null || files.length === limit) {
        resolve(files)
      } else {
        files.push(cursor.value)
        cursor.continue()
      }
    }
    request.onerror = () => reject(request.error)
  })
}

export function countFiles(database: IDBDatabase, workspaceId: string): Promise<number> {
  const index = database.transaction('files').objectStore('files').index('byWorkspace')
  return result(index.count(ofWorkspace(workspaceId)))
}

export function getFile(database: IDBDatabase, id: string): Promise<NoteFile | undefined> {
  return result(database.transaction('files').objectStore('files').get(id))
}

export function saveWorkspace(database: IDBDatabase, workspace: Workspace): Promise<void> {
  const transaction = database.transaction('workspaces', 'readwrite')
  transaction.objectStore('workspaces').put(workspace)
  return done(transaction)
}

/** Saves any number of files in one transaction. */
export function saveFiles(database: IDBDatabase, files: readonly NoteFile[]): Promise<void> {
  const transaction = database.transaction('files', 'readwrite')
  const store = transaction.objectStore('files')
  for (const file of files) {
    store.put(file)
  }
  return done(transaction)
}

export function deleteFile(database: IDBDatabase, id: string): Promise<void> {
  const transaction = database.transaction('files', 'readwrite')
  transaction.objectStore('files').delete(id)
  return done(transaction)
}

/** Deletes a workspace and its files in one transaction. */
export function deleteWorkspace(database: IDBDatabase, id: string): Promise<void> {
  const transaction = database.transaction(['workspaces', 'files'], 'readwrite')
  transaction.objectStore('workspaces').delete(id)
  const files = transaction.objectStore('files').index('byWorkspace')
  const request = files.openCursor(ofWorkspace(id))
  request.onsuccess = () => {
    request.result?.delete()
    request.result?.continue()
  }
  return done(transaction)
}

/** What a new user finds. */
function addWelcome(upgrade: IDBTransaction | null): void {
  const createdAt = new Date()
  upgrade?.objectStore('workspaces').put({ id: 'welcome', name: 'Getting started', createdAt })
  upgrade?.objectStore('files').put({
    id: 'welcome',
    workspaceId: 'welcome',
    name: 'Read me first',
    content: WELCOME,
    createdAt,
    updatedAt: createdAt,
  })
}

const WELCOME = `Edit this text. Each keystroke is a put() into IndexedDB, and nothing else.

Then look at the panel beside it:
- your changes wait 2 seconds, and go to the server together
- go offline, edit, reload the page: nothing is lost
- break the server: it waits longer after each failure
- open a second tab: one of the two does the syncing
`

function ofWorkspace(id: string): IDBKeyRange {
  return IDBKeyRange.bound([id], [id, []])
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
