/** The engine's stores: what it loads when it begins, and the transactions it commits. */

import type { Change } from '../capture/commits'
import {
  HELD_STORE,
  isOurs,
  logStoreName,
  META_STORE,
  STAGED_STORE,
  tableOfLog,
} from '../capture/names'
import { Kind, type LogRow } from '../capture/row'
import { keyText } from '../key'
import type { Beside } from './beside'
import type { BlobMap } from './blob-lane'
import type { Blobs } from './blobs'
import type { Connection } from './connection'
import type { Commit, Loaded, Table, TableRow, Write } from './interface'
import type { PulledChanges } from './records'
import type { Slots } from './slots'
import { conclude, failure, result } from './storage'
import { type PartName, type Plan, planOf, type StagedTexts } from './writes'

/** The format of the stores that this build reads and writes. */
const FORMAT = 1

/** The only key of the meta store. */
const META_KEY = 'meta'

/** Log rows that are signed in one go. */
const SIGN_ROWS = 64

/** The only record of the meta store. */
interface Meta {
  format?: number
  fence?: number
  state?: string
  owner?: string | null
}

/** What is staged or held: the engine's record of it, and the Blobs that its texts name. */
interface Row {
  readonly state: Uint8Array
  readonly blobs?: BlobMap
}

interface StagedRow extends Row {
  readonly texts: readonly string[]
}

/** The engine's stores. */
export class Stores {
  readonly #connection: Connection
  /** The texts of the staged batches, so that a push reads nothing. */
  #texts: StagedTexts = new Map()
  readonly #blobs: Blobs
  /** How many parts of pages were written here. */
  #parts = 0

  constructor(connection: Connection, blobs: Blobs) {
    this.#connection = connection
    this.#blobs = blobs
  }

  /** Raises the fence and reads what the engine begins with. */
  async load(beside: Beside): Promise<Loaded> {
    await this.#connection.reopen()
    const { fence, state } = await this.#claim()
    const tables = await this.#tables()
    const reading = this.#connection.begin([STAGED_STORE, HELD_STORE], 'readonly')
    const [staged, held] = await Promise.all([
      entries<StagedRow>(reading.objectStore(STAGED_STORE)),
      entries<Row>(reading.objectStore(HELD_STORE)),
    ])
    for (const [batch, { blobs }] of staged) this.#blobs.keep(`staged ${Number(batch)}`, blobs)
    for (const [op, { blobs }] of held) this.#blobs.keep(`held ${String(op)}`, blobs)
    this.#texts = new Map(staged.map(([batch, { texts }]) => [Number(batch), texts]))
    return {
      fence,
      version: this.#connection.version,
      meta: state ?? null,
      staged: staged.map(([batch, { state }]) => ({
        batch: Number(batch),
        state: beside.add(state),
      })),
      held: held.map(([op, { state }]) => ({ op: String(op), state: beside.add(state) })),
      tables,
    }
  }

  /** The texts of a staged batch. */
  texts(batch: number): readonly string[] | undefined {
    return this.#texts.get(batch)
  }

  /**
   * Does all of a commit's writes, or nothing, and gives what has changed of the app's records.
   *
   * Everything that may fail for another reason than storage is done before the transaction begins.
   */
  async commit(
    commit: Commit,
    bytes: Uint8Array,
    slots: Slots,
    pulled: PulledChanges,
  ): Promise<readonly Change[]> {
    const { stores } = this.#connection
    const nextPart = (): PartName => [commit.fence, this.#parts++]
    const sources = { stores, slots, pulled, blobs: this.#blobs, texts: this.#texts, nextPart }
    const plan = planOf(commit.writes, bytes, sources)
    const scope = new Set([
      META_STORE,
      ...plan.stores,
      ...commit.tails.map(({ table }) => logStoreName(table)),
    ])
    const transaction = this.#connection.begin([...scope], 'readwrite')
    await conclude(transaction, () => write(transaction, commit, plan))
    this.#texts = plan.texts
    for (const [group, blobs] of plan.blobs) this.#blobs.keep(group, blobs)
    return plan.changes
  }

  /** Raises the fence by one and gives it back with the engine's record. */
  #claim(): Promise<{ fence: number; state: string | undefined }> {
    const transaction = this.#connection.begin(META_STORE, 'readwrite')
    return conclude(transaction, async () => {
      const meta = await readMeta(transaction)
      if ((meta.format ?? 0) > FORMAT) throw failure('newer')
      const fence = Math.max(meta.fence ?? 0, 0) + 1
      putMeta(transaction, { ...meta, format: FORMAT, fence })
      return { fence, state: meta.state }
    })
  }

  /** The tracked tables: those that have a log. */
  async #tables(): Promise<Table[]> {
    const { stores } = this.#connection
    const names = [...stores.keys()].flatMap((store) => tableOfLog(store) ?? [])
    if (names.length === 0) return []
    const reading = this.#connection.begin(names.map(logStoreName), 'readonly')
    const first = (name: string) => reading.objectStore(logStoreName(name)).getAllKeys(null, 1)
    const found = await Promise.all(names.map((name) => result(first(name))))
    return names.map((name, index) => ({
      name,
      // The log of a store that the app has removed is kept until it is sent.
      generatedKeys: !isOurs(name) && stores.get(name)?.autoIncrement === true,
      pending: found[index]?.length !== 0,
    }))
  }
}

/**
 * Checks the fence and the ends of logs, and issues everything.
 *
 * Should this tab's code end while requests are under way, the browser commits what was issued: so all
 * is issued in one go, and what removes comes last.
 */
async function write(transaction: IDBTransaction, commit: Commit, plan: Plan): Promise<void> {
  const [meta] = await Promise.all([
    readMeta(transaction),
    ...commit.tails.map((tail) => checkTail(transaction, tail, commit.writes)),
    ...plan.reads.map((read) => read(transaction)),
  ])
  if (meta.fence !== commit.fence) throw failure('fenced')
  for (const { table, user, adopts } of plan.signs) {
    await sign(transaction.objectStore(logStoreName(table)), user, adopts)
  }
  for (const issue of plan.puts) issue(transaction)
  if (plan.meta !== undefined) putMeta(transaction, { ...meta, ...plan.meta })
  for (const issue of plan.deletes) issue(transaction)
  // The browser need not come back here with every answer first.
  transaction.commit()
}

async function readMeta(transaction: IDBTransaction): Promise<Meta> {
  return (await result<Meta | undefined>(transaction.objectStore(META_STORE).get(META_KEY))) ?? {}
}

function putMeta(transaction: IDBTransaction, meta: Meta): void {
  transaction.objectStore(META_STORE).put(meta, META_KEY)
}

/** More new rows than these are read by the engine, not within its transaction. */
const TAIL_ROWS = 32

/** Refuses where the app has written, behind the row, a record that these writes touch. */
async function checkTail(
  transaction: IDBTransaction,
  { table, row }: TableRow,
  writes: readonly Write[],
): Promise<void> {
  const log = transaction.objectStore(logStoreName(table))
  const rows: LogRow[] = await result(log.getAll(IDBKeyRange.lowerBound(row, true), TAIL_ROWS))
  if (rows.length === 0) return
  const touched = new Set(writes.flatMap((write) => recordOf(write, table) ?? []))
  const isHit = ({ ops }: LogRow) => ops.some((_, at) => at % 3 === 0 && hits(ops, at, touched))
  if (rows.length === TAIL_ROWS || rows.some(isHit)) throw failure('moved')
}

/** The record of a table that a write puts or removes. */
function recordOf(write: Write, table: string): string | undefined {
  const touches = write.type === 'putRecord' || write.type === 'deleteRecord'
  return touches && write.table === table ? write.lid : undefined
}

/** Whether the operation at a place of a row's list may be of one of these records. */
function hits(ops: readonly unknown[], at: number, touched: ReadonlySet<string>): boolean {
  const kind = ops[at]
  if (kind === Kind.deleteRange || kind === Kind.clear) return true
  const lid = keyText(ops[at + 1] as IDBValidKey)
  return lid !== undefined && touched.has(lid)
}

/** Compares the fence in a transaction over the meta store. */
export async function checkFence(transaction: IDBTransaction, fence: number): Promise<void> {
  const meta = await readMeta(transaction)
  if (meta.fence !== fence) throw failure('fenced')
}

/** Names the user of the rows that name none, or nobody where those are adopted, a few at a time. */
async function sign(log: IDBObjectStore, user: string | null, adopts: boolean): Promise<void> {
  for (let after = 0; ; ) {
    const range = IDBKeyRange.lowerBound(after, true)
    const rows = await result<{ row: number; user?: string | null }[]>(log.getAll(range, SIGN_ROWS))
    const last = rows.at(-1)
    if (last === undefined) return
    after = last.row
    for (const row of rows) {
      if (row.user === undefined || (adopts && row.user === null)) log.put({ ...row, user })
    }
  }
}

async function entries<T>(store: IDBObjectStore): Promise<[IDBValidKey, T][]> {
  const [keys, values] = await Promise.all([
    result(store.getAllKeys()),
    result<T[]>(store.getAll()),
  ])
  return keys.map((key, index) => [key, values[index] as T])
}
