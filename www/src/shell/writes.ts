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
import type { BlobMap } from './blob-lane'
import type { Blobs, Group } from './blobs'
import type { TableKeys } from './connection'
import type { AppendLog, PageId, PutHeld, PutPage, RecordName, Text, Write } from './interface'
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
  readonly signs: readonly Extract<Write, { type: 'signLog' }>[]
  readonly puts: readonly Step<void>[]
  readonly meta: { readonly state: string; readonly owner: string | null } | undefined
  readonly deletes: readonly Step<void>[]
  /** The texts of the staged batches after it. */
  readonly texts: StagedTexts
  /** The Blobs of what is staged and held after it; none where it is neither any more. */
  readonly blobs: ReadonlyMap<Group, BlobMap | undefined>
  /** What it changes of the app's records. */
  readonly changes: readonly Change[]
}

/** What writes refer to. */
export interface Sources {
  /** All object stores, ours and the app's. */
  readonly stores: ReadonlyMap<string, TableKeys>
  readonly slots: Slots
  readonly pulled: PulledChanges
  readonly blobs: Blobs
  readonly texts: StagedTexts
  /** What the next part of a page is called behind all before it. */
  readonly nextPart: () => PartName
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
  readonly #signs: Extract<Write, { type: 'signLog' }>[] = []
  /** The app's records come first: what the engine notes of them must not be there without them. */
  readonly #records: Step<void>[] = []
  readonly #puts: Step<void>[] = []
  readonly #deletes: Step<void>[] = []
  readonly #texts: Map<number, readonly string[]>
  readonly #changes: Change[] = []
  readonly #history: unknown[] = []
  readonly #blobs = new Map<Group, BlobMap | undefined>()
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
      blobs: this.#blobs,
      changes: this.#changes,
    }
  }

  add(write: Write): void {
    switch (write.type) {
      case 'meta':
        this.#meta = { state: write.state, owner: write.owner }
        break
      case 'putStaged': {
        const texts = write.texts.map((text) => this.#stagedText(text))
        this.#texts.set(write.batch, texts)
        const blobs = this.#withBlobs(`staged ${write.batch}`, texts)
        const row = { texts, state: cut(this.#bytes, write.state), ...blobs }
        this.#put(STAGED_STORE, row, write.batch)
        break
      }
      case 'deleteStaged':
        this.#texts.delete(write.batch)
        this.#blobs.set(`staged ${write.batch}`, undefined)
        this.#delete(STAGED_STORE, write.batch)
        break
      case 'putHeld':
        this.#put(HELD_STORE, this.#heldRow(write), write.op)
        break
      case 'renewHeld':
        this.#renewHeld(write)
        break
      case 'deleteHeld':
        this.#blobs.set(`held ${write.op}`, undefined)
        this.#delete(HELD_STORE, write.op)
        break
      case 'putPage':
        this.#putPage(write)
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

  /** In a row of its own: what a page has already is not written again. */
  #putPage({ page, whole, bytes }: PutPage): void {
    const part = this.#sources.nextPart()
    this.#put(SHADOW_STORE, cut(this.#bytes, bytes), [page.table, page.bucket, ...part])
    if (whole) this.#delete(SHADOW_STORE, pageParts(page, part))
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

  /** What is staged anew consumes the log row whose value had the Blobs: without them it must not begin. */
  #stagedText(text: Text): string {
    const made = this.#text(text)
    if (text.is === 'kept' || this.#sources.blobs.hasAllOf(made)) return made
    throw new StorageFailure({ kind: 'other', name: 'blob-missing' })
  }

  #heldRow({ op, state, notice, user, base, text: from, remote }: PutHeld): object {
    const text = from === null ? null : this.#text(from)
    const named = [text, remote].filter((it) => it !== null)
    const { table, lid, code, message, at_ms: at } = notice
    return {
      state: cut(this.#bytes, state),
      ...{ table, lid, code, message, at, user, base },
      ...(text === null ? {} : { text }),
      ...(remote === null ? {} : { remote }),
      ...this.#withBlobs(`held ${op}`, named),
    }
  }

  /** Rows keep the Blobs that their texts name: nothing of them may be lost before the server has it. */
  #withBlobs(group: Group, texts: readonly string[]): { blobs?: BlobMap } {
    const blobs = this.#sources.blobs.namedIn(texts)
    this.#blobs.set(group, blobs)
    return blobs.size > 0 ? { blobs } : {}
  }

  #renewHeld(write: Extract<Write, { type: 'renewHeld' }>): void {
    const { op, state, remote, message } = write
    const renewed = {
      state: cut(this.#bytes, state),
      ...(remote === null ? {} : { remote }),
      ...(message === null ? {} : { message }),
    }
    const named = this.#sources.blobs.namedIn(remote === null ? [] : [remote])
    let row: { remote?: string; blobs?: BlobMap } | undefined
    this.#stores.add(HELD_STORE)
    this.#reads.push(async (transaction) => {
      row = await result<typeof row>(transaction.objectStore(HELD_STORE).get(op))
    })
    this.#puts.push((transaction) => {
      if (row === undefined) return
      const { remote: _, ...rest } = row
      const blobs = new Map([...(row.blobs ?? []), ...named])
      this.#blobs.set(`held ${op}`, blobs)
      const kept = { ...rest, ...renewed, ...(blobs.size > 0 ? { blobs } : {}) }
      transaction.objectStore(HELD_STORE).put(kept, op)
    })
  }

  /** A table that the app has removed takes no records. */
  #putRecord(write: Extract<Write, { type: 'putRecord' }>): void {
    const { table } = write
    const keys = this.#sources.stores.get(table)
    if (keys === undefined) return
    const { pulled, blobs } = this.#sources
    const record = appRecord(write, keys, pulled, blobs)
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

/** The fence of who wrote a part of a page, and its number among theirs: later parts are behind. */
export type PartName = readonly [fence: number, part: number]

/** The keys of a page's parts, or of those before one. */
export function pageParts({ table, bucket }: PageId, before?: PartName): IDBKeyRange {
  const page = [table, bucket]
  return IDBKeyRange.bound(page, [...page, ...(before ?? [[]])], false, true)
}

/** A row as capture would have written it. */
function logRow({ lid, user, atMs, delete: removed }: AppendLog): LogRow {
  const kind = removed ? Kind.delete : Kind.putReference
  return { v: 1, at: atMs, user, inc: incarnation(), ops: [kind, decodeKey(lid), 0], json: '' }
}
