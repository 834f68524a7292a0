/** What runs in the page: each function is one timed piece of work, in milliseconds. */

import { attach, installTidesync } from '../../www/src/capture'
import { type CloudSync, createCloudSync } from '../../www/src/sync'
import { type Note, notes } from './records'

/** How a database takes writes. */
export type Way = 'raw' | 'tracked' | 'outbox'

const open = new Map<Way, IDBDatabase>()

/** Opens the databases of all ways, empty. */
export async function prepare(): Promise<void> {
  for (const way of ['raw', 'tracked', 'outbox'] as const) {
    open.get(way)?.close()
    await settled(indexedDB.deleteDatabase(way))
    const request = indexedDB.open(way, 1)
    request.onupgradeneeded = () => {
      request.result.createObjectStore('notes', { keyPath: 'id' })
      if (way === 'outbox') {
        request.result.createObjectStore('outbox', { autoIncrement: true })
      }
      if (way === 'tracked') {
        installTidesync(request.result, request.transaction)
      }
    }
    const database = await settled(request)
    if (way === 'tracked') {
      attach(database)
    }
    open.set(way, database)
  }
}

/** Writes `count` notes, `each` in one transaction, one transaction after the other. */
export async function write(way: Way, count: number, each: number, seed: number): Promise<number> {
  const database = opened(way)
  const all = notes(count, seed)
  const started = performance.now()
  for (let first = 0; first < count; first += each) {
    await writeOnce(database, way, all.slice(first, first + each))
  }
  return performance.now() - started
}

function writeOnce(database: IDBDatabase, way: Way, some: Note[]): Promise<void> {
  const stores = way === 'outbox' ? ['notes', 'outbox'] : 'notes'
  const transaction = database.transaction(stores, 'readwrite')
  const store = transaction.objectStore('notes')
  for (const note of some) {
    store.put(note)
    if (way === 'outbox') {
      transaction.objectStore('outbox').put({ table: 'notes', kind: 'put', value: note })
    }
  }
  return committed(transaction)
}

/** Pushes what a hand-written outbox holds: pages of 1,000, JSON, deleted once the server has them. */
export async function pushOutbox(url: string): Promise<number> {
  const database = opened('outbox')
  const started = performance.now()
  while (await pushPage(database, url)) {
    // until nothing is left
  }
  return performance.now() - started
}

async function pushPage(database: IDBDatabase, url: string): Promise<boolean> {
  const reading = database.transaction('outbox').objectStore('outbox')
  const [keys, rows] = await Promise.all([
    settled(reading.getAllKeys(null, 1_000)),
    settled(reading.getAll(null, 1_000)),
  ])
  if (keys.length === 0) {
    return false
  }
  const response = await fetch(`${url}/outbox`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ rows }),
  })
  await response.json()
  const deleting = database.transaction('outbox', 'readwrite')
  for (const key of keys) {
    deleting.objectStore('outbox').delete(key)
  }
  await committed(deleting)
  return true
}

let sync: CloudSync | undefined

/** Starts the engine on the tracked database, with auto-sync off: nothing is sent until asked. */
export async function startEngine(url: string, compression: 'always' | 'never'): Promise<void> {
  sync?.dispose()
  sync = createCloudSync({
    url,
    getToken: () => 'token',
    compression,
    enabled: false,
    initial: 'ignore',
    logger: () => undefined,
  })
  sync.attach(opened('tracked'))
  await sync.start('user')
}

/** A record with many fields. */
type Wide = { id: string } & Record<string, string>

/** Writes wide records, and gives the bytes of their JSON. */
export async function writeWide(records: number, fields: number): Promise<number> {
  const all = Array.from({ length: records }, (_, index) => {
    const wide: Wide = { id: `wide-${index}` }
    for (let field = 0; field < fields; field++) {
      wide[`field${field}`] = `value ${index} of ${field}`
    }
    return wide
  })
  await putAll(all)
  return bytesOf(all)
}

let edits = 0

/** Changes `each` fields of records by their numbers, and gives the bytes of their JSON. */
export async function editWide(records: readonly number[], each: number): Promise<number> {
  const store = opened('tracked').transaction('notes').objectStore('notes')
  const found: Wide[] = await Promise.all(
    records.map((number) => settled(store.get(`wide-${number}`))),
  )
  for (const wide of found) {
    for (let field = 0; field < each; field++) {
      edits += 1
      wide[`field${(edits * 3) % 50}`] = `edited ${edits}`
    }
  }
  await putAll(found)
  return bytesOf(found)
}

/** Bytes of the JSON of all records that are tracked. */
export async function jsonBytes(): Promise<number> {
  return bytesOf(
    await settled(opened('tracked').transaction('notes').objectStore('notes').getAll()),
  )
}

async function putAll(records: readonly unknown[]): Promise<void> {
  const transaction = opened('tracked').transaction('notes', 'readwrite')
  for (const record of records) {
    transaction.objectStore('notes').put(record)
  }
  await committed(transaction)
}

function bytesOf(value: unknown): number {
  return new TextEncoder().encode(JSON.stringify(value)).length
}

/** A database without records, tracked or not, for pulls. */
export async function preparePull(way: 'raw' | 'tracked', url: string): Promise<void> {
  sync?.dispose()
  sync = undefined
  open.get(way)?.close()
  await settled(indexedDB.deleteDatabase(way))
  const request = indexedDB.open(way, 1)
  request.onupgradeneeded = () => {
    request.result.createObjectStore('notes', { keyPath: 'id' })
    if (way === 'tracked') {
      installTidesync(request.result, request.transaction)
    }
  }
  open.set(way, await settled(request))
  if (way === 'tracked') {
    await startEngine(url, 'never')
  }
}

/** Pulls everything that the server has into the tracked store. */
export async function pullTracked(count: number): Promise<number> {
  const started = performance.now()
  if (!(await sync?.forceSync())) {
    throw new Error(`not everything was pulled: ${JSON.stringify(sync?.getStatus())}`)
  }
  const ms = performance.now() - started
  await checkCount('tracked', count)
  return ms
}

/** The same by hand: pages of 1,000, fetched and put. */
export async function pullRaw(url: string, count: number): Promise<number> {
  const database = opened('raw')
  const started = performance.now()
  for (let first = 0; first < count; first += 1_000) {
    const response = await fetch(`${url}/records/${count}?cursor=${first}&limit=1000`)
    const { records } = (await response.json()) as { records: Note[] }
    const transaction = database.transaction('notes', 'readwrite')
    const store = transaction.objectStore('notes')
    for (const record of records) {
      store.put(record)
    }
    await committed(transaction)
  }
  const ms = performance.now() - started
  await checkCount('raw', count)
  return ms
}

async function checkCount(way: Way, count: number): Promise<void> {
  const found = await settled(opened(way).transaction('notes').objectStore('notes').count())
  if (found !== count) {
    throw new Error(`${found} records in place of ${count}`)
  }
}

/** Syncs: pushes what is captured, and pulls. */
export async function syncNow(): Promise<boolean> {
  return (await sync?.forceSync()) ?? false
}

/** Pushes what is captured: staging, sending and settling. */
export async function pushTracked(): Promise<number> {
  const started = performance.now()
  if (sync === undefined || !(await sync.forceSync()) || sync.getStatus().pending !== 0) {
    throw new Error(`not everything was pushed: ${JSON.stringify(sync?.getStatus())}`)
  }
  return performance.now() - started
}

/** The open database of a way. */
export function opened(way: Way): IDBDatabase {
  const database = open.get(way)
  if (database === undefined) {
    throw new Error('prepare() comes first')
  }
  return database
}

/** The result of a request. */
export function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}

/** The end of a transaction. */
export function committed(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve()
    transaction.onabort = () => reject(transaction.error)
  })
}
