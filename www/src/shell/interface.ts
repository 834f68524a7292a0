/**
 * Everything that can happen to the engine and everything it can ask for, as it crosses to
 * WebAssembly: `crates/engine/src/interface.rs` says what each of them means. Bytes stand beside the
 * JSON, and here is their place.
 */

/** `[offset,length]` of bytes that stand beside the JSON. */
export type Place = readonly [offset: number, length: number]

/** Under whom a log row was written. */
export type RowUser = 'owner' | 'nobody' | { readonly user: string }

/** As Rust writes what may fail. */
export type Result<T, E> = { readonly Ok: T } | { readonly Err: E }

/** Why storage did not do what was asked. */
export type StorageError =
  | { readonly kind: 'fenced' | 'full' | 'closed' | 'moved' | 'newer' }
  | { readonly kind: 'other'; readonly name: string }

/** What came of something that storage was asked for. */
export type Stored<T> = Result<T, StorageError>

/** What happened. */
export type Input =
  | {
      readonly type: 'start'
      readonly online: boolean
      readonly visible: boolean
      readonly user: string | null
      readonly enabled: boolean | null
    }
  | { readonly type: 'stop' | 'timeout' | 'tokenAvailable' | 'poked' }
  | {
      readonly type: 'captured'
      readonly table: string
      readonly user: RowUser
      readonly lids: readonly string[]
      readonly trigger: boolean
    }
  | { readonly type: 'online'; readonly online: boolean }
  | { readonly type: 'visible'; readonly visible: boolean }
  | { readonly type: 'userChanged'; readonly user: string | null }
  | { readonly type: 'setEnabled'; readonly enabled: boolean }
  | Call
  | Answer

/** What the app asks for and waits for; answered by the effect `resolve`. */
export type Call =
  | { readonly type: 'forceSync' | 'backup' | 'restore'; readonly call: number }
  | {
      readonly type: 'settleHeld'
      readonly call: number
      readonly op: string
      readonly choice: Choice
    }

/** What becomes of a held operation. */
export type Choice =
  | { readonly take: 'local' | 'remote' }
  | { readonly take: 'value'; readonly value: string | null }

/** What an effect came to. */
export type Answer =
  | { readonly type: 'loaded'; readonly task: number; readonly outcome: Stored<Loaded> }
  | { readonly type: 'logRead'; readonly task: number; readonly outcome: Stored<LogChunk> }
  | { readonly type: 'scanned'; readonly task: number; readonly outcome: Stored<ScanPage> }
  | { readonly type: 'prepared'; readonly task: number; readonly outcome: Stored<Prepared> }
  | { readonly type: 'committed'; readonly task: number; readonly outcome: Stored<null> }
  | { readonly type: 'reserved'; readonly task: number; readonly outcome: Stored<number> }
  | {
      readonly type: 'pushed' | 'pulled' | 'streamEnded'
      readonly task: number
      readonly outcome: RequestOutcome
    }
  | {
      readonly type: 'resolverAnswered'
      readonly task: number
      readonly outcome: Result<Chosen, string>
    }

/** What the database held when this tab began to lead. */
export interface Loaded {
  readonly fence: number
  readonly version: number
  readonly meta: string | null
  readonly staged: readonly { readonly batch: number; readonly state: Place }[]
  readonly held: readonly { readonly op: string; readonly state: Place }[]
  readonly tables: readonly Table[]
}

/** A tracked table. */
export interface Table {
  readonly name: string
  readonly generatedKeys: boolean
  readonly pending: boolean
}

/** Rows of logs. */
export interface LogChunk {
  readonly rows: readonly LogRow[]
  readonly end: boolean
}

/** One log row, without its values. */
export interface LogRow {
  readonly table: string
  readonly row: number
  readonly atMs: number
  readonly user: RowUser
  readonly ops: readonly LogOp[]
}

/** One operation of a log row. */
export type LogOp =
  | {
      readonly kind: 'put'
      readonly lid: string
      readonly slot: number
      readonly bytes: number
      readonly reference: boolean
    }
  | { readonly kind: 'delete'; readonly lid: string }
  | {
      readonly kind: 'deleteRange'
      readonly lower: string | null
      readonly upper: string | null
      readonly lowerOpen: boolean
      readonly upperOpen: boolean
    }
  | { readonly kind: 'clear' }

/** A page of a table's records, and the table's log. */
export interface ScanPage {
  readonly log: LogChunk
  readonly records: readonly ScanRecord[]
  readonly end: boolean
  readonly total: number
  /** Records that are left out, since their keys have no text. */
  readonly leftOut: number
}

/** A record that a scan found, without its value. */
export interface ScanRecord {
  readonly lid: string
  readonly slot: number
  readonly bytes: number
}

/** Values and pages of the shadow. */
export interface Prepared {
  readonly bytes: Place
  readonly values: readonly PreparedValue[]
  readonly pages: readonly Place[]
}

/** What became of a value; `end` is where its wire form ends among the bytes. */
export type PreparedValue =
  | { readonly is: 'wire'; readonly end: number }
  | { readonly is: 'gone' }
  | { readonly is: 'unsendable'; readonly code: string; readonly path: string }

/** What came back from the server. */
export type RequestOutcome =
  | {
      readonly is: 'answer'
      readonly status: number
      /** Seconds. */
      readonly retryAfter: string | null
      readonly body: string
    }
  | { readonly is: 'failed'; readonly failure: TransportFailure }

/** Why no answer came. */
export type TransportFailure = 'network' | 'timeout' | 'no-token' | 'token-failed' | 'no-batch'

/** The outcome of a conflict: a wire form, or null where the record is to be removed. */
export interface Chosen {
  readonly value: string | null
}

/** What is to be done. */
export type Effect =
  | { readonly type: 'load'; readonly task: number }
  | ReadLog
  | Scan
  | Prepare
  | Commit
  | Reserve
  | Push
  | Pull
  | OpenStream
  | AskResolver
  | { readonly type: 'abortRequest' | 'closeStream' | 'closed' }
  | { readonly type: 'resolve'; readonly call: number; readonly ok: boolean }
  | { readonly type: 'log'; readonly level: LogLevel; readonly message: string }

/** How important a line is. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/** A table and a row of its log. */
export interface TableRow {
  readonly table: string
  readonly row: number
}

/** A record, by its local name. */
export interface RecordName {
  readonly table: string
  readonly lid: string
}

/** A page of the shadow. */
export interface PageId {
  readonly table: string
  readonly bucket: number
}

/** Answered by `logRead`. */
export interface ReadLog {
  readonly type: 'readLog'
  readonly task: number
  readonly after: readonly TableRow[]
  readonly bytesMax: number
  readonly opsMax: number
  readonly values: boolean
}

/** Answered by `scanned`. */
export interface Scan {
  readonly type: 'scan'
  readonly task: number
  readonly table: string
  readonly after: string | null
  readonly recordsMax: number
  readonly bytesMax: number
}

/** Answered by `prepared`. */
export interface Prepare {
  readonly type: 'prepare'
  readonly task: number
  readonly slots: readonly number[]
  readonly records: readonly RecordName[]
  readonly pages: readonly PageId[]
}

/** Answered by `committed`. */
export interface Commit {
  readonly type: 'commit'
  readonly task: number
  readonly fence: number
  readonly tails: readonly TableRow[]
  readonly writes: readonly Write[]
}

/** Answered by `reserved`. */
export interface Reserve {
  readonly type: 'reserve'
  readonly task: number
  readonly fence: number
  readonly table: string
  readonly count: number
}

/** Whose token, and whether the one at hand was refused. */
interface Authorized {
  readonly subject: string
  readonly token: 'request' | 'expired'
}

/** Answered by `pushed`. */
export interface Push extends Authorized {
  readonly type: 'push'
  readonly task: number
  readonly batch: number
  readonly first: number
  readonly last: number
  readonly envelope: string
  readonly timeoutMs: number
}

/** Answered by `pulled`. */
export interface Pull extends Authorized {
  readonly type: 'pull'
  readonly task: number
  readonly query: string
  readonly timeoutMs: number
}

/** Answered by `streamEnded`, and by `poked` before that. */
export interface OpenStream extends Authorized {
  readonly type: 'openStream'
  readonly task: number
}

/** Answered by `resolverAnswered`. */
export interface AskResolver {
  readonly type: 'askResolver'
  readonly task: number
  readonly conflict: Conflict
}

/** Two changes of one record; values are wire forms, null where the record was removed. */
export interface Conflict extends RecordName {
  readonly base: number
  readonly local: string | null
  readonly remote: string | null
}

/** One write of a transaction. */
export type Write =
  | { readonly type: 'meta'; readonly state: string; readonly owner: string | null }
  | {
      readonly type: 'putStaged'
      readonly batch: number
      readonly state: Place
      readonly texts: readonly Text[]
    }
  | { readonly type: 'deleteStaged'; readonly batch: number }
  | PutHeld
  | {
      readonly type: 'renewHeld'
      readonly op: string
      readonly state: Place
      readonly remote: string | null
      /** What is told of it from now on; null where that stays. */
      readonly message: string | null
    }
  | { readonly type: 'deleteHeld'; readonly op: string }
  | PutPage
  | {
      readonly type: 'consumeLog'
      readonly table: string
      readonly first: number
      readonly last: number
    }
  | PutRecord
  | ({ readonly type: 'deleteRecord' } & RecordName)
  | AppendLog
  | { readonly type: 'putHistory'; readonly entry: string }
  | {
      readonly type: 'signLog'
      readonly table: string
      readonly user: string | null
      /** Whether nobody's rows become theirs, too. */
      readonly adopts: boolean
    }

/** Stores a held operation. */
export interface PutHeld {
  readonly type: 'putHeld'
  readonly op: string
  readonly state: Place
  readonly notice: {
    readonly table: string
    readonly lid: string
    readonly code: string
    readonly message: string
    readonly at_ms: number
  }
  readonly user: string
  readonly base: number
  readonly text: Text | null
  readonly remote: string | null
}

/** Stores a record of the app. */
export interface PutRecord extends RecordName {
  readonly type: 'putRecord'
  readonly value:
    | { readonly is: 'pulled'; readonly index: number }
    | { readonly is: 'text'; readonly text: string }
}

/** Stores a part of a page of the shadow behind the others, or, `whole`, in their place. */
export interface PutPage {
  readonly type: 'putPage'
  readonly page: PageId
  readonly whole: boolean
  readonly bytes: Place
}

/** Appends a log row. */
export interface AppendLog extends RecordName {
  readonly type: 'appendLog'
  readonly user: string
  readonly atMs: number
  readonly delete: boolean
}

/** The text of one operation, as it will be sent. */
export type Text =
  | { readonly is: 'spliced'; readonly head: string; readonly slot: number }
  | { readonly is: 'whole'; readonly text: string }
  | { readonly is: 'kept'; readonly batch: number; readonly index: number }

/** What `Session.handle` gives. */
export interface Turn<Status> {
  readonly effects: readonly Effect[]
  /** How many bytes stand beside the effects. */
  readonly bytes: number
  /** When to say `timeout`, on the monotonic clock. */
  readonly timeout: number | null
  /** Left out while it is the same as before. */
  readonly status?: Status
}
