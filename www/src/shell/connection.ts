/** The engine's own connection to the app's database. It is not attached: its writes are not captured. */

import { failure } from './storage'

/** Some browsers now and then never answer an open (F6). */
const OPEN_TIMEOUT_MS = 4_000

/** How an object store finds its keys. */
export interface TableKeys {
  readonly keyPath: string | string[] | null
  readonly autoIncrement: boolean
}

/** A connection that is opened when it is first needed and closed at once when it must be. */
export class Connection {
  readonly #name: string
  #open: IDBDatabase | undefined
  #stores: ReadonlyMap<string, TableKeys> = new Map()
  /** Counts up with every close: what was being opened before is not used any more. */
  #generation = 0

  constructor(database: string) {
    this.#name = database
  }

  /** Opens the database anew. */
  async reopen(): Promise<void> {
    this.close()
    const generation = this.#generation
    const opened = await open(this.#name)
    if (this.#generation !== generation) {
      opened.close()
      throw failure('closed')
    }
    // Another tab upgrades the database: whoever holds a connection then blocks it (F12).
    opened.addEventListener('versionchange', () => this.#end(opened))
    opened.addEventListener('close', () => this.#end(opened))
    this.#stores = keysOfStores(opened)
    this.#open = opened
  }

  /** Closes now: transactions that run are finished, new ones fail. */
  close(): void {
    this.#generation += 1
    this.#open?.close()
    this.#open = undefined
  }

  /** The database's version. */
  get version(): number {
    return this.#open?.version ?? 0
  }

  /** All object stores, ours and the app's, as they were when the database was last opened. */
  get stores(): ReadonlyMap<string, TableKeys> {
    return this.#stores
  }

  /** Begins a transaction. */
  begin(stores: string | string[], mode: IDBTransactionMode): IDBTransaction {
    if (this.#open === undefined) throw failure('closed')
    return this.#open.transaction(stores, mode)
  }

  #end(database: IDBDatabase): void {
    if (this.#open === database) this.close()
    else database.close()
  }
}

function open(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(name)
    let late = false
    const timer = setTimeout(() => {
      late = true
      reject(failure('closed'))
    }, OPEN_TIMEOUT_MS)
    // There is no such database any more, and none is made: the app would find it without its stores.
    opening.onupgradeneeded = () => opening.transaction?.abort()
    opening.onerror = () => {
      clearTimeout(timer)
      reject(opening.error)
    }
    opening.onsuccess = () => {
      clearTimeout(timer)
      // A connection that comes late would block every upgrade, held by nobody.
      if (late) opening.result.close()
      else resolve(opening.result)
    }
  })
}

/** How the stores find their keys: only a transaction tells, and this one asks for nothing. */
function keysOfStores(database: IDBDatabase): Map<string, TableKeys> {
  const names = Array.from(database.objectStoreNames)
  if (names.length === 0) return new Map()
  const transaction = database.transaction(names)
  return new Map(
    names.map((name) => {
      const { keyPath, autoIncrement } = transaction.objectStore(name)
      return [name, { keyPath, autoIncrement }]
    }),
  )
}
