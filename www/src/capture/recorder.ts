/** Records what one transaction writes to tracked tables. Nothing is awaited in here. */

import { report } from '../error'
import { natives } from './natives'
import { TableLog, type TableShape } from './table-log'

/** Under whom a database's writes are logged, through whichever of its connections. */
export interface Writer {
  /** Undefined: whoever owns the database. */
  user: string | null | undefined
}

/** Whose transactions are recorded. */
export interface Tracking {
  readonly database: string
  /** Tables whose writes are logged. */
  tables: ReadonlySet<string>
  /** Shapes of the tables, kept where they cannot change; absent in an upgrade. */
  readonly shapes?: Map<string, TableShape>
  readonly writer: Writer
  /** Called after the app's `close()` of the connection. */
  closed?(): void
}

/** What a recorder tells. */
export interface RecorderEvents {
  /** A commit waits for generated keys, from now until the native commit or the end. */
  deferred(recorder: TransactionRecorder): void
  /** A commit waits no longer. */
  resumed(recorder: TransactionRecorder): void
  /** The transaction is over. */
  ended(recorder: TransactionRecorder, committed: boolean): void
}

/** The recorder of one transaction, from its start to its end. */
export class TransactionRecorder {
  readonly logs: Map<string, TableLog> = new Map()
  /** The native commit was made by the app: nothing can be written any more. */
  sealed = false
  private deferring = false

  constructor(
    readonly transaction: IDBTransaction,
    readonly tracking: Tracking,
    private readonly events: RecorderEvents,
  ) {
    transaction.addEventListener('complete', () => this.end(true))
    transaction.addEventListener('abort', () => this.end(false))
  }

  /** The log of a store of this transaction, or undefined when the store is not tracked. */
  logOf(store: IDBObjectStore): TableLog | undefined {
    const table = store.name
    const known = this.logs.get(table)
    if (known !== undefined || !this.tracking.tables.has(table)) return known
    const log = new TableLog(this, this.shapeOf(store))
    this.logs.set(table, log)
    return log
  }

  /** Records these tables from now on: an upgrade may track more as it goes. */
  track(tables: ReadonlySet<string>): void {
    this.tracking.tables = tables
  }

  /** Writes nothing more: the logs are being removed. */
  discard(): void {
    this.sealed = true
    this.logs.clear()
    this.tracking.tables = new Set()
  }

  /** Takes back what a failed request was to write. */
  failed(request: IDBRequest): void {
    for (const log of this.logs.values()) {
      if (log.void(request)) break
    }
    this.commitIfKnown()
  }

  /** Whether a request is one of our own, not of the app. */
  owns(request: IDBRequest): boolean {
    for (const log of this.logs.values()) {
      if (log.owns(request)) return true
    }
    return false
  }

  /** The app's `commit()`: what has been gathered goes first, and waits for the keys that are not known yet. */
  commit(): void {
    if (!this.waitsForKeys()) {
      this.flushAndCommit()
    } else if (this.isActive()) {
      this.deferring = true
      this.events.deferred(this)
    } else {
      natives().commit.call(this.transaction)
    }
  }

  /** Makes the commit that has waited, once all generated keys are known. */
  commitIfKnown(): void {
    if (!this.deferring || this.waitsForKeys()) return
    this.resume()
    this.flushAndCommit()
  }

  /** Ends the transaction because a log row cannot be written: then the app's write must not stand either. */
  abort(cause: unknown): void {
    report(cause)
    try {
      natives().abort.call(this.transaction)
    } catch (error) {
      report(error)
    }
  }

  private flushAndCommit(): void {
    try {
      for (const log of this.logs.values()) log.flushBeforeCommit()
    } catch (error) {
      // Where the transaction takes no rows because it is not active, the native commit below says so to the app.
      if (!isInactive(error)) {
        this.abort(error)
        return
      }
    }
    natives().commit.call(this.transaction)
    this.sealed = true
  }

  private isActive(): boolean {
    for (const log of this.logs.values()) return log.isActive()
    return false
  }

  private waitsForKeys(): boolean {
    for (const log of this.logs.values()) {
      if (log.waitsForKeys) return true
    }
    return false
  }

  private resume(): void {
    if (!this.deferring) return
    this.deferring = false
    this.events.resumed(this)
  }

  private end(committed: boolean): void {
    this.sealed = true
    this.resume()
    this.events.ended(this, committed)
  }

  private shapeOf(store: IDBObjectStore): TableShape {
    const { shapes } = this.tracking
    const known = shapes?.get(store.name)
    if (known !== undefined) return known
    const shape: TableShape = {
      name: store.name,
      keyPath: store.keyPath,
      autoIncrement: store.autoIncrement,
      putMayFail: shapes === undefined || hasUniqueIndex(store),
    }
    shapes?.set(store.name, shape)
    return shape
  }
}

function hasUniqueIndex(store: IDBObjectStore): boolean {
  return Array.from(store.indexNames).some((name) => store.index(name).unique)
}

function isInactive(error: unknown): boolean {
  if (!(error instanceof DOMException)) return false
  return error.name === 'TransactionInactiveError' || error.name === 'InvalidStateError'
}
