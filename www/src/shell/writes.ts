/** The requests of one commit, made ready before its transaction begins. */

import type { Change } from '../capture/commits'
import { incarnation } from '../capture/incarnation'
import {
  HELD_STORE,
  HISTORY_STORE,
  logStoreName,
  SHADOW_STORE,
  STAGED_STORE,
} from '../capture/names'
import { Kind, type LogRow } from '../capture/row'
import { decodeKey } from '../key'
import { cut } from './beside'
import type { TableKeys } from './connection'
import type { AppendLog, PageId, PutHeld, RecordName, Text, Write } from './interface'
import { appRecord, deleteChange, type PulledChanges, putChange } from './records'
import type { Slots } from './slots'
import { result, StorageFailure } from './storage'

/** Entries of the history that are kept. */
const HISTORY_MAX = 1_000

/** The texts of the staged batches, by their numbers. There are few at a time. */
export type StagedTexts = ReadonlyMap<number, readonly string[]>

/** Something that is done in a transaction. */
type Step<T> = (transaction: IDBTransaction) => T

/** What a commit does, in the order in which it is issued. */
export interface Plan {
  /** The stores that it touches, beside that of meta. */
  readonly stores: ReadonlySet<string>
  /** What must be read first. */
  readonly reads: readonly Step<Promise<void>>[]
  readonly signs: readonly { readonly table: string; readonly user: string | null }[]
  readonly puts: readonly Step<void>[]
  readonly meta: { readonly state: string; readonly owner: string | null } | undefined
  readonly deletes: readonly Step<void>[]
  /** The texts of the staged batches after it. */
  readonly texts: StagedTexts
  /** What it changes of the app's records. */
  readonly changes: readonly Change[]
}

/** What writes refer to. */
export interface Sources {
  /** All object stores, ours and the app's. */
  readonly stores: ReadonlyMap<string, TableKeys>
  readonly slots: Slots
  readonly pulled: PulledChanges
  readonly texts: StagedTexts
}

/** Makes a commit's requests ready. */
export function planOf(writes: readonly Write[], bytes: Uint8Array, sources: Sources): Plan {
  const planning = new Planning(bytes, sources)
  for (const write of writes) planning.add(write)
  return planning.plan()
}

class Planning {
  readonly #bytes: Uint8Array
  readonly #sources: Sources
  readonly #stores = new Set<string>()
  readonly #reads: Step<Promise<void>>[] = []
  readonly #signs: { table: string; user: string | null }[] = []
  /** The app's records come first: what the engine notes of them must not be there without them. */
  readonly #records: Step<void>[] = []
  readonly #puts: Step<void>[] = []
  readonly #deletes: Step<void>[] = []
  readonly #texts: Map<number, readonly string[]>
  readonly #changes: Change[] = []
  readonly #history: unknown[] = []
  #meta: Plan['meta']

  constructor(bytes: Uint8Array, sources: Sources) {
    this.#bytes = bytes
    this.#sources = sources
    this.#texts = new Map(sources.texts)
  }

  plan(): Plan {
    if (this.#history.length > 0) this.#addHistory()
    return {
      stores: this.#stores,
      reads: this.#reads,
      signs: this.#signs,
      puts: [...this.#records, ...this.#puts],
      meta: this.#meta,
      deletes: this.#deletes,
      texts: this.#texts,
      changes: this.#changes,
    }
  }

  add(write: Write): void {
    switch (write.type) {
      case 'meta':
        this.#meta = { state: write.state, owner: write.owner }
        break
      case 'putStaged': {
        const texts = write.texts.map((text) => this.#text(text))
        this.#texts.set(write.batch, texts)
        this.#put(STAGED_STORE, { texts, state: cut(this.#bytes, write.state) }, write.batch)
        break
      }
      case 'deleteStaged':
        this.#texts.delete(write.batch)
        this.#delete(STAGED_STORE, write.batch)
        break
      case 'putHeld':
        this.#put(HELD_STORE, this.#heldRow(write), write.op)
        break
      case 'renewHeld':
        this.#renewHeld(write)
        break
      case 'deleteHeld':
        this.#delete(HELD_STORE, write.op)
        break
      case 'putPage':
        this.#put(SHADOW_STORE, cut(this.#bytes, write.bytes), pageKey(write.page))
        break
      case 'consumeLog':
        this.#delete(logStoreName(write.table), IDBKeyRange.bound(write.first, write.last))
        break
      case 'putRecord':
        this.#putRecord(write)
        break
      case 'deleteRecord':
        this.#deleteRecord(write)
        break
      case 'appendLog':
        this.#put(logStoreName(write.table), logRow(write))
        break
      case 'putHistory':
        this.#history.push(JSON.parse(write.entry))
        break
      case 'signLog':
        this.#stores.add(logStoreName(write.table))
        this.#signs.push(write)
        break
    }
  }

  #put(store: string, value: unknown, key?: IDBValidKey): void {
    this.#stores.add(store)
    this.#puts.push((transaction) => transaction.objectStore(store).put(value, key))
  }

  #delete(store: string, key: IDBValidKey | IDBKeyRange): void {
    this.#stores.add(store)
    this.#deletes.push((transaction) => transaction.objectStore(store).delete(key))
  }

  #text(text: Text): string {
    switch (text.is) {
      case 'spliced':
        return this.#sources.slots.splice(text.head, text.slot)
      case 'whole':
        return text.text
      case 'kept': {
        const kept = this.#texts.get(text.batch)?.[text.index]
        if (kept === undefined) throw new StorageFailure({ kind: 'other', name: 'TextMissing' })
        return kept
      }
    }
  }

  #heldRow({ state, notice, user, base, text, remote }: PutHeld): object {
    const { table, lid, code, message, at_ms: at } = notice
    return {
      state: cut(this.#bytes, state),
      ...{ table, lid, code, message, at, user, base },
      ...(text === null ? {} : { text: this.#text(text) }),
      ...(remote === null ? {} : { remote }),
    }
  }

  #renewHeld({ op, state, remote }: Extract<Write, { type: 'renewHeld' }>): void {
    const renewed = { state: cut(this.#bytes, state), ...(remote === null ? {} : { remote }) }
    let row: object | undefined
    this.#stores.add(HELD_STORE)
    this.#reads.push(async (transaction) => {
      row = await result<object | undefined>(transaction.objectStore(HELD_STORE).get(op))
    })
    this.#puts.push((transaction) => {
      if (row === undefined) return
      const { remote: _, ...rest } = row as { remote?: string }
      transaction.objectStore(HELD_STORE).put({ ...rest, ...renewed }, op)
    })
  }

  /** A table that the app has removed takes no records. */
  #putRecord(write: Extract<Write, { type: 'putRecord' }>): void {
    const { table } = write
    const keys = this.#sources.stores.get(table)
    if (keys === undefined) return
    const record = appRecord(write, keys, this.#sources.pulled)
    this.#stores.add(table)
    this.#records.push((transaction) =>
      transaction.objectStore(table).put(record.value, record.key),
    )
    this.#changes.push(putChange(write, record))
  }

  /** In its place among the puts: one of them may need the unique value that it gives free. */
  #deleteRecord(name: RecordName): void {
    const { table, lid } = name
    if (!this.#sources.stores.has(table)) return
    const key = decodeKey(lid)
    this.#stores.add(table)
    this.#records.push((transaction) => transaction.objectStore(table).delete(key))
    this.#changes.push(deleteChange(name))
  }

  #addHistory(): void {
    const entries = this.#history
    if (!this.#sources.stores.has(HISTORY_STORE)) return
    let last = 0
    this.#stores.add(HISTORY_STORE)
    this.#reads.push(async (transaction) => {
      const newest = transaction.objectStore(HISTORY_STORE).openKeyCursor(null, 'prev')
      last = Number((await result(newest))?.key ?? 0)
    })
    this.#puts.push((transaction) => {
      for (const entry of entries) transaction.objectStore(HISTORY_STORE).put(entry)
    })
    this.#deletes.push((transaction) => {
      const oldest = last + entries.length - HISTORY_MAX
      if (oldest > 0) {
        transaction.objectStore(HISTORY_STORE).delete(IDBKeyRange.upperBound(oldest))
      }
    })
  }
}

/** The key of a page of the shadow. */
export function pageKey({ table, bucket }: PageId): IDBValidKey {
  return [table, bucket]
}

/** A row as capture would have written it. */
function logRow({ lid, user, atMs, delete: removed }: AppendLog): LogRow {
  const kind = removed ? Kind.delete : Kind.putReference
  return { v: 1, at: atMs, user, inc: incarnation(), ops: [kind, decodeKey(lid), 0], json: '' }
}
