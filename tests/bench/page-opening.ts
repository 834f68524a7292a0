/** A database that is opened again, with much or nothing that waits to be sent. */

import { installTidesync } from '../../www/src/capture'
import { type CloudSync, createCloudSync } from '../../www/src/sync'
import { committed, settled } from './page'
import { notes } from './records'

/** What of a status is waited for. */
export type Until = 'told' | 'counted'

/** Makes a tracked database in which so many changes wait. */
export async function fill(name: string, pending: number, url: string): Promise<void> {
  await settled(indexedDB.deleteDatabase(name))
  const database = await open(name)
  const sync = create(url)
  sync.attach(database)
  await sync.start('user')
  for (let first = 0; first < pending; first += 1_000) {
    const transaction = database.transaction('notes', 'readwrite')
    for (const note of notes(1_000, first + 1)) {
      transaction.objectStore('notes').put(note)
    }
    await committed(transaction)
  }
  sync.dispose()
  database.close()
}

/** Opens it, and gives the milliseconds until the status says whether anything waits, or how much. */
export async function reopen(
  name: string,
  pending: number,
  url: string,
  until: Until,
): Promise<number> {
  const from = performance.now()
  const database = await open(name)
  const sync = create(url)
  let told = Number.NaN
  sync.subscribe(() => {
    const { isInitialized, hasPendingSync } = sync.getStatus()
    if (Number.isNaN(told) && (isInitialized || hasPendingSync)) told = performance.now() - from
  })
  sync.attach(database)
  await sync.start('user')
  const counted = performance.now() - from
  const status = sync.getStatus()
  if (!status.isInitialized || status.pending !== pending) {
    throw new Error(`not the status of ${pending} pending: ${JSON.stringify(status)}`)
  }
  sync.dispose()
  database.close()
  return until === 'told' ? told : counted
}

/** With auto-sync off: nothing is sent. */
function create(url: string): CloudSync {
  return createCloudSync({
    url,
    getToken: () => 'token',
    enabled: false,
    initial: 'ignore',
    logger: () => undefined,
  })
}

function open(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, 1)
  request.onupgradeneeded = () => {
    request.result.createObjectStore('notes', { keyPath: 'id' })
    installTidesync(request.result, request.transaction)
  }
  return settled(request)
}
