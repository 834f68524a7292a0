/**
 * One table's log in one transaction.
 *
 * Whenever something is gathered and not yet written, a request is under way whose event will write it: a log
 * request, or the one whose generated key is waited for. So the transaction cannot end before its log is complete,
 * and a transaction of any size costs a few log requests.
 */

import { incarnation } from './incarnation'
import { logStoreName } from './names'
import { natives } from './natives'
import type { TransactionRecorder } from './recorder'
import { Kind, type LoggedRange, Origin, RowDraft, type RowHeader } from './row'
import { copyKey, injectKey, inlineKey, type KeyShape, sizeOfKey, snapshot } from './snapshot'

/** What capture needs to know of a table. */
export interface TableShape extends KeyShape {
  readonly name: string
  /** A put can fail alone: an index of the store is unique, or may become so. */
  readonly putMayFail: boolean
}

/** Gathers a table's operations and writes them as log rows beside them. */
export class TableLog {
  /** All rows of the transaction, in order; the last one may still grow. */
  readonly drafts: RowDraft[] = []
  private readonly logStore: IDBObjectStore
  private readonly underWay = new Set<IDBRequest>()
  private firstUnissued = 0
  private unknownKeys = 0

  constructor(
    private readonly recorder: TransactionRecorder,
    readonly shape: TableShape,
  ) {
    this.logStore = recorder.transaction.objectStore(logStoreName(shape.name))
  }

  /** A generated key is not known yet. */
  get waitsForKeys(): boolean {
    return this.unknownKeys > 0
  }

  /** Records a put or an add that the browser has accepted. */
  put(request: IDBRequest, value: unknown, key: IDBValidKey | undefined, adds: boolean): void {
    const known = this.shape.keyPath === null ? key : inlineKey(value, this.shape)
    const origin = adds ? Origin.add : known === undefined ? Origin.generated : Origin.write
    this.write(request, value, known === undefined ? undefined : copyKey(known), origin)
  }

  /** Records a cursor's update. */
  update(request: IDBRequest, value: unknown, key: IDBValidKey): void {
    this.write(request, value, copyKey(key), Origin.write)
  }

  /** Records the deletion of a key or of a range. */
  delete(request: IDBRequest, query: IDBValidKey | IDBKeyRange): void {
    if (!(query instanceof IDBKeyRange)) this.append(Kind.delete, copyKey(query), request)
    else if (isSingle(query)) this.append(Kind.delete, copyKey(query.lower), request)
    else this.append(Kind.deleteRange, loggedRange(query), request)
    this.pump()
  }

  /** Records that the store was emptied. */
  clear(request: IDBRequest): void {
    this.append(Kind.clear, null, request)
    this.pump()
  }

  /** Takes back the operation of a failed request; false when it is none of this table's. */
  void(request: IDBRequest): boolean {
    for (const draft of this.drafts) {
      const waited = draft.unknown
      if (!draft.void(request)) continue
      this.unknownKeys -= waited - draft.unknown
      this.pump()
      return true
    }
    return false
  }

  owns(request: IDBRequest): boolean {
    return this.underWay.has(request)
  }

  /** Whether a request can be made in the transaction now. */
  isActive(): boolean {
    try {
      this.watch(natives().getKey.call(this.logStore, 0))
      return true
    } catch {
      return false
    }
  }

  /**
   * Writes all that is gathered, right before a native commit, after which nothing more can be written.
   * What may still fail is logged by reference, since it could not be taken back: staging then reads
   * what the record really is. Throws what the browser throws when the transaction is not active.
   */
  flushBeforeCommit(): void {
    this.referWhatMayFail()
    for (;;) {
      const draft = this.drafts[this.firstUnissued]
      if (draft === undefined) return
      this.issue(draft)
    }
  }

  /** The value of a put as it was stored, for a listener after the commit. */
  valueAt(draft: RowDraft, index: number): unknown {
    const kept = draft.values[index]
    const value: unknown =
      draft.kinds[index] === Kind.put ? JSON.parse(kept as string) : structuredClone(kept)
    const { keyPath, autoIncrement } = this.shape
    if (autoIncrement && typeof keyPath === 'string') {
      injectKey(value, keyPath, draft.keys[index] as IDBValidKey)
    }
    return value
  }

  private write(
    request: IDBRequest,
    value: unknown,
    key: IDBValidKey | undefined,
    origin: Origin,
  ): void {
    const { kind, value: kept, size } = snapshot(value)
    const draft = this.openDraft(this.recorder.tracking.writer.user)
    const index = draft.append(kind, key, kept, request, origin)
    draft.size += size + sizeOfKey(key)
    if (key === undefined) this.waitForKey(draft, index, request)
    else this.pump()
  }

  private append(
    kind: Kind,
    key: unknown,
    request: IDBRequest,
    origin: Origin = Origin.write,
    user = this.recorder.tracking.writer.user,
  ): void {
    const draft = this.openDraft(user)
    draft.append(kind, key, undefined, request, origin)
    draft.size += sizeOfKey(key)
  }

  /** A row has one user: the one at the call, whoever signs in before it is written (I29). */
  private openDraft(user: string | null | undefined): RowDraft {
    const last = this.drafts.at(-1)
    if (last !== undefined && !last.issued && !last.full && last.user === user) return last
    const draft = new RowDraft(user)
    this.drafts.push(draft)
    return draft
  }

  private waitForKey(draft: RowDraft, index: number, request: IDBRequest): void {
    draft.unknown += 1
    this.unknownKeys += 1
    request.addEventListener('success', () => {
      draft.keys[index] = request.result
      draft.unknown -= 1
      this.unknownKeys -= 1
      this.pump()
      this.recorder.commitIfKnown()
    })
  }

  /** Writes full rows at once, and the row that still grows when no request of ours is under way. */
  private pump(): void {
    if (this.recorder.sealed) return
    try {
      for (;;) {
        const draft = this.drafts[this.firstUnissued]
        if (draft === undefined || draft.unknown > 0) return
        if (!draft.full && this.underWay.size > 0) return
        this.issue(draft)
      }
    } catch (error) {
      this.recorder.abort(error)
    }
  }

  private issue(draft: RowDraft): void {
    const row = draft.toRow(headerOf(draft))
    if (row !== undefined) {
      const { put } = natives()
      this.watch(put.call(this.logStore, row), (rowKey) => this.written(draft, rowKey))
    }
    draft.issued = true
    this.firstUnissued += 1
  }

  /** Watches a request of ours; each of them, when it has succeeded, writes what has been gathered since. */
  private watch<T>(request: IDBRequest<T>, succeeded: (result: T) => void = () => undefined): void {
    this.underWay.add(request)
    request.addEventListener('success', () => {
      this.underWay.delete(request)
      succeeded(request.result)
      this.pump()
    })
  }

  private written(draft: RowDraft, rowKey: IDBValidKey): void {
    // Requests are answered in order, so everything in this row has succeeded or was voided.
    draft.requests = []
    if (draft.stale && !this.recorder.sealed) this.rewrite(draft, rowKey)
  }

  /** Stores a row again without what has failed since. */
  private rewrite(draft: RowDraft, rowKey: IDBValidKey): void {
    const row = draft.toRow(headerOf(draft))
    const { put, delete: remove } = natives()
    if (row === undefined) this.watch(remove.call(this.logStore, rowKey))
    else this.watch(put.call(this.logStore, { ...row, row: rowKey }))
  }

  private referWhatMayFail(): void {
    for (const draft of [...this.drafts]) {
      for (const [index, request] of draft.requests.entries()) {
        if (!this.isDoubtful(draft, index, request)) continue
        if (!draft.issued) draft.demote(index)
        else {
          const { keys, user } = draft
          this.append(Kind.putReference, keys[index], request, Origin.repair, user)
        }
      }
    }
  }

  /** Whether what was or will be written for an operation is wrong, or may turn out so after the commit. */
  private isDoubtful(draft: RowDraft, index: number, request: IDBRequest): boolean {
    if (draft.isVoid(index)) return draft.issued
    const mayFail = draft.origins[index] === Origin.add || this.shape.putMayFail
    return mayFail && draft.isPut(index) && request.readyState === 'pending'
  }
}

function headerOf({ user }: RowDraft): RowHeader {
  const header = { at: Date.now(), inc: incarnation() }
  return user === undefined ? header : { ...header, user }
}

function isSingle(range: IDBKeyRange): boolean {
  const { lower, upper, lowerOpen, upperOpen } = range
  if (lower === undefined || upper === undefined || lowerOpen || upperOpen) return false
  return indexedDB.cmp(lower, upper) === 0
}

function loggedRange(range: IDBKeyRange): LoggedRange {
  const { lower, upper, lowerOpen, upperOpen } = range
  return {
    ...(lower === undefined ? {} : { lower: copyKey(lower) }),
    ...(upper === undefined ? {} : { upper: copyKey(upper) }),
    lowerOpen,
    upperOpen,
  }
}
