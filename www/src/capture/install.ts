/** Setting up and removing our object stores, in the app's own upgrade. */

import { TidesyncError } from '../error'
import { ENGINE_STORES, HISTORY_STORE, isOurs, logStoreName, trackedTables } from './names'
import { allStores, recorderOf, recordUpgrade, unwrap } from './patch'

/** What is tracked. */
export interface InstallOptions {
  /** Tables to track; by default every object store there is, with an empty list none more. Tables that are tracked already stay so. */
  readonly tables?: readonly string[]
}

/**
 * Makes the database ready to be synced: a log store for each table, and the engine's stores. Call it in
 * `onupgradeneeded`. Calling it again, in the same upgrade or in a later one, adds what is missing and changes nothing
 * else, so an upgrade may call it twice:
 *
 * - First, with `tables: []`, before the upgrade touches a record or a store. From then on what the upgrade writes to
 *   tables that are tracked already is captured, and our stores do not show in `objectStoreNames`. Before it, neither is
 *   so: a migration of records would be known to no log, and a loop that deletes every store that there is would delete
 *   our logs too, with every change in them that was not sent yet.
 * - Last, if the upgrade adds stores that are to be tracked: only stores that exist can be. Records that the upgrade has
 *   put into them before are not captured; the engine finds them when it scans the table.
 *
 * Logs of stores that are gone stay, so that what they hold is not lost.
 * @throws TidesyncError `not-upgrading` outside of an upgrade, `unknown-table` for a table that does not exist.
 */
export function installTidesync(
  db: IDBDatabase,
  tx: IDBTransaction | null,
  options: InstallOptions = {},
): void {
  const { database, transaction } = upgradeOf(db, tx)
  const stores = new Set(allStores(database))
  const tables = options.tables ?? [...stores].filter((name) => !isOurs(name))
  for (const table of tables) {
    if (!stores.has(table) || isOurs(table)) {
      throw new TidesyncError('unknown-table', `There is no object store "${table}" to track.`)
    }
  }
  for (const table of tables) {
    const log = logStoreName(table)
    if (!stores.has(log)) database.createObjectStore(log, { keyPath: 'row', autoIncrement: true })
  }
  for (const store of ENGINE_STORES) {
    if (!stores.has(store)) {
      database.createObjectStore(store, { autoIncrement: store === HISTORY_STORE })
    }
  }
  captureUpgrade(database, transaction)
}

/**
 * Removes all our stores, with every change that they hold and that was not sent yet, and stops tracking.
 * Call it in `onupgradeneeded`.
 * @throws TidesyncError `not-upgrading` outside of an upgrade.
 */
export function uninstallTidesync(db: IDBDatabase, tx: IDBTransaction | null): void {
  const { database, transaction } = upgradeOf(db, tx)
  recorderOf(transaction)?.discard()
  for (const store of allStores(database)) {
    if (isOurs(store)) database.deleteObjectStore(store)
  }
}

function captureUpgrade(database: IDBDatabase, transaction: IDBTransaction): void {
  const tables = new Set(trackedTables(allStores(database)))
  const recorder = recorderOf(transaction)
  if (recorder !== undefined) recorder.track(tables)
  else recordUpgrade(transaction, { database: database.name, tables, writer: { user: undefined } })
}

function upgradeOf(
  db: IDBDatabase,
  tx: IDBTransaction | null,
): { database: IDBDatabase; transaction: IDBTransaction } {
  const transaction = tx === null ? null : unwrap(tx)
  if (transaction?.mode !== 'versionchange') {
    throw new TidesyncError(
      'not-upgrading',
      'Call this in onupgradeneeded, with the transaction of the upgrade: (request.result, request.transaction).',
    )
  }
  return { database: unwrap(db), transaction }
}
