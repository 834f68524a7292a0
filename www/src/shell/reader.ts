/**
 * What the engine reads of the app's changes: chunks of the log, pages of a table, and the values and
 * shadow pages that a stage needs.
 */

import { logStoreName, SHADOW_STORE } from '../capture/names'
import { MAX_ROW_SIZE, type LogRow as StoredRow } from '../capture/row'
import { decodeKey } from '../key'
import type { Beside } from './beside'
import type { Blobs } from './blobs'
import { Budget, FIRST_READ } from './budget'
import type { Connection } from './connection'
import type {
  LogChunk,
  LogOp,
  LogRow,
  PageId,
  Place,
  Prepare,
  Prepared,
  ReadLog,
  Scan,
  ScanPage,
  ScanRecord,
} from './interface'
import type { Slots } from './slots'
import { result } from './storage'
import { pageParts } from './writes'

/** An operation costs its value and about as much as its key and head. */
const OP_OVERHEAD_BYTES = 64

const NO_ROWS: LogChunk = { rows: [], end: true }

/** Reads through the engine's connection; values go to the slots. */
export class Reader {
  readonly #connection: Connection
  readonly #slots: Slots
  readonly #blobs: Blobs

  constructor(connection: Connection, slots: Slots, blobs: Blobs) {
    this.#connection = connection
    this.#slots = slots
    this.#blobs = blobs
  }

  /** Reads log rows of several tables. */
  async readLog({ after, bytesMax, opsMax, values }: ReadLog): Promise<LogChunk> {
    if (after.length === 0) return NO_ROWS
    const transaction = this.#connection.begin(
      after.map(({ table }) => logStoreName(table)),
      'readonly',
    )
    const budget = new Budget(bytesMax, opsMax)
    const rows: LogRow[] = []
    let end = true
    for (const { table, row } of after) {
      const ended =
        !budget.isSpent && (await this.#readRows(transaction, table, row, budget, values, rows))
      end &&= ended
    }
    // The app's next write waits for this transaction, and need not wait for what the engine makes of it.
    transaction.commit()
    return { rows, end }
  }

  /** Reads rows of one log until the budget is spent; tells whether the log ended first. */
  async #readRows(
    transaction: IDBTransaction,
    table: string,
    after: number,
    budget: Budget,
    keep: boolean,
    rows: LogRow[],
  ): Promise<boolean> {
    const log = transaction.objectStore(logStoreName(table))
    let last = after
    let limit = Math.max(FIRST_READ, budget.itemsOf(MAX_ROW_SIZE))
    for (;;) {
      const found = await result<StoredRow[]>(log.getAll(IDBKeyRange.lowerBound(last, true), limit))
      let bytes = 0
      for (const stored of found) {
        if (budget.isSpent) return false
        const row = this.#slots.walk(table, stored, keep)
        const size = rowBytes(row)
        bytes += size
        last = row.row
        budget.take(size, row.ops.length)
        rows.push(row)
      }
      if (found.length < limit) return true
      if (budget.isSpent) return false
      limit = budget.nextRead(found.length, bytes)
    }
  }

  /** Reads a page of a table, and the table's log. */
  async scan({ table, after, recordsMax, bytesMax }: Scan): Promise<ScanPage> {
    if (!this.#connection.stores.has(table)) {
      return { log: NO_ROWS, records: [], end: true, total: 0, leftOut: 0 }
    }
    const transaction = this.#connection.begin([table, logStoreName(table)], 'readonly')
    const rows: LogRow[] = []
    const logBudget = new Budget(bytesMax, recordsMax)
    const end = await this.#readRows(transaction, table, 0, logBudget, false, rows)
    const store = transaction.objectStore(table)
    const total = await result(store.count())
    // A log longer than its budget leaves the records theirs: the engine reads its rest.
    const page = await this.#readRecords(store, table, after, new Budget(bytesMax, recordsMax))
    return { log: { rows, end }, ...page, total }
  }

  async #readRecords(
    store: IDBObjectStore,
    table: string,
    after: string | null,
    budget: Budget,
  ): Promise<Pick<ScanPage, 'records' | 'end' | 'leftOut'>> {
    const records: ScanRecord[] = []
    let leftOut = 0
    let range = after === null ? null : IDBKeyRange.lowerBound(decodeKey(after), true)
    let limit = FIRST_READ
    for (;;) {
      const [keys, values] = await Promise.all([
        result(store.getAllKeys(range, limit)),
        result<unknown[]>(store.getAll(range, limit)),
      ])
      const found = this.#slots.scan(table, keys, values)
      records.push(...found)
      leftOut += keys.length - found.length
      const bytes = found.reduce((sum, record) => sum + record.bytes, 0)
      budget.take(bytes, found.length)
      if (keys.length < limit) return { records, end: true, leftOut }
      if (budget.isSpent) return { records, end: false, leftOut }
      range = IDBKeyRange.lowerBound(keys.at(-1), true)
      limit = Math.min(budget.nextRead(found.length, bytes), budget.itemsLeft)
    }
  }

  /** Fetches wire forms and pages of the shadow. */
  async prepare({ slots, records, pages }: Prepare, beside: Beside): Promise<Prepared> {
    const references = this.#slots.references(slots)
    const named = records.map(({ table, lid }) => ({ table, key: decodeKey(lid) }))
    const values = await this.#readValues([...references, ...named])
    for (const [index, reference] of references.entries()) {
      this.#slots.supply(reference, values[index])
    }
    const shadow = await this.#readPages(pages, beside)
    const found = named.map(({ table }, index) => ({
      table,
      value: values[references.length + index],
    }))
    const forms = await this.#slots.prepare(slots, found, (values) =>
      this.#blobs.hash('prepared', values),
    )
    return { bytes: beside.add(forms.bytes), values: forms.values, pages: shadow }
  }

  /** Reads records of the app; undefined where one is gone, or its table. */
  async #readValues(
    names: readonly { readonly table: string; readonly key: IDBValidKey }[],
  ): Promise<unknown[]> {
    const { stores } = this.#connection
    const tables = new Set(names.map(({ table }) => table).filter((table) => stores.has(table)))
    if (tables.size === 0) return names.map(() => undefined)
    const transaction = this.#connection.begin([...tables], 'readonly')
    return Promise.all(
      names.map(({ table, key }) =>
        tables.has(table) ? result<unknown>(transaction.objectStore(table).get(key)) : undefined,
      ),
    )
  }

  async #readPages(pages: readonly PageId[], beside: Beside): Promise<Place[]> {
    if (pages.length === 0) return []
    const shadow = this.#connection.begin(SHADOW_STORE, 'readonly').objectStore(SHADOW_STORE)
    const found = await Promise.all(
      pages.map((page) => result<Uint8Array[]>(shadow.getAll(pageParts(page)))),
    )
    return found.map((parts) => beside.add(...parts))
  }
}

function rowBytes({ ops }: LogRow): number {
  return ops.reduce((sum, op) => sum + OP_OVERHEAD_BYTES + valueBytes(op), 0)
}

function valueBytes(op: LogOp): number {
  return op.kind === 'put' ? op.bytes : 0
}
