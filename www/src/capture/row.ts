/** The rows of a table's log, as they are stored, and how one is gathered. */

/** What an operation of a log row does. The numbers are persisted. */
export const Kind = {
  /** Put; the value is JSON, its text stands in `json`. */
  put: 0,
  /** Put; the value stands in `typed` as a structured clone. */
  putTyped: 1,
  /** Put; the value is too large to be kept twice: it is what the record holds when it is staged. */
  putReference: 2,
  delete: 3,
  deleteRange: 4,
  clear: 5,
} as const

/** One of the numbers of {@link Kind}. */
export type Kind = (typeof Kind)[keyof typeof Kind]

/** The key of a `deleteRange` operation. */
export interface LoggedRange {
  lower?: IDBValidKey
  upper?: IDBValidKey
  lowerOpen: boolean
  upperOpen: boolean
}

/** A row of a log store, as it is persisted (format 1). */
export interface LogRow {
  /** Key of the row, from the store's key generator. */
  row?: number
  v: 1
  /** Wall clock when the row was written, in ms. */
  at: number
  /** Who was signed in: a user, nobody (null), or, when absent, whoever owns the database. */
  user?: string | null
  /** Random id of the page that wrote the row. */
  inc: string
  /** Operations, three elements each: kind, key, and the length of its text (kind 0) or its index in `typed` (kind 1). */
  ops: unknown[]
  /** The JSON texts of all operations of kind 0, one after the other. */
  json: string
  typed?: unknown[]
}

/** What is the same for all rows of one commit. */
export type RowHeader = Pick<LogRow, 'at' | 'user' | 'inc'>

/** Operations in a row, at most. */
export const MAX_ROW_OPERATIONS = 256
/** Size at which a row is closed, in UTF-16 units of its texts plus about the bytes of the rest. */
export const MAX_ROW_SIZE: number = 64 * 1_024
/** Values above this size are logged by reference. */
export const MAX_VALUE_SIZE: number = 16 * 1_024

/** How an operation came about, which decides what its event is called and whether it may fail alone. */
export const Origin = {
  write: 0,
  add: 1,
  generated: 2,
  /** Makes up for an earlier operation that failed: nothing that the app did. */
  repair: 3,
} as const
/** One of the numbers of {@link Origin}. */
export type Origin = (typeof Origin)[keyof typeof Origin]

/** An operation that was undone by a failed request; never persisted. */
const VOID = -1

/** A row while it is gathered, and until its transaction ends. */
export class RowDraft {
  readonly kinds: number[] = []
  readonly keys: unknown[] = []
  readonly values: unknown[] = []
  readonly origins: Origin[] = []
  requests: IDBRequest[] = []
  size = 0
  /** Operations whose generated key is not known yet. */
  unknown = 0
  /** Its log request has been made. */
  issued = false
  /** Something in it was voided after its log request was made. */
  stale = false

  /** `user` is under whom it was written, as in the row. */
  constructor(readonly user: string | null | undefined) {}

  get length(): number {
    return this.kinds.length
  }

  get full(): boolean {
    return this.kinds.length >= MAX_ROW_OPERATIONS || this.size >= MAX_ROW_SIZE
  }

  append(kind: Kind, key: unknown, value: unknown, request: IDBRequest, origin: Origin): number {
    this.keys.push(key)
    this.values.push(value)
    this.origins.push(origin)
    this.requests.push(request)
    return this.kinds.push(kind) - 1
  }

  /** Takes back the operation of a request that failed; false when it is not in here. */
  void(request: IDBRequest): boolean {
    const index = this.requests.indexOf(request)
    if (index < 0 || this.isVoid(index)) return false
    this.kinds[index] = VOID
    if (this.keys[index] === undefined) this.unknown -= 1
    if (this.issued) this.stale = true
    return true
  }

  isVoid(index: number): boolean {
    return this.kinds[index] === VOID
  }

  isPut(index: number): boolean {
    const kind = this.kinds[index]
    return kind === Kind.put || kind === Kind.putTyped
  }

  /** Turns a put into one by reference. */
  demote(index: number): void {
    this.kinds[index] = Kind.putReference
    this.values[index] = undefined
  }

  /** The row to store, or undefined when nothing is left in it. */
  toRow(header: RowHeader): LogRow | undefined {
    const ops: unknown[] = []
    const texts: string[] = []
    const typed: unknown[] = []
    for (let index = 0; index < this.kinds.length; index += 1) {
      const kind = this.kinds[index]
      if (kind === VOID) continue
      ops.push(kind, this.keys[index], extraOf(kind, this.values[index], texts, typed))
    }
    if (ops.length === 0) return undefined
    const row: LogRow = { v: 1, ...header, ops, json: texts.join('') }
    if (typed.length > 0) row.typed = typed
    return row
  }
}

function extraOf(
  kind: number | undefined,
  value: unknown,
  texts: string[],
  typed: unknown[],
): number {
  if (kind === Kind.put) {
    texts.push(value as string)
    return (value as string).length
  }
  return kind === Kind.putTyped ? typed.push(value) - 1 : 0
}
