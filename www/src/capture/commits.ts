/** What has been committed, told to listeners of this tab. */

import { report } from '../error'
import { keyText } from '../key'
import type { TransactionRecorder } from './recorder'
import { Kind, type LoggedRange, Origin, type RowDraft } from './row'
import type { TableLog } from './table-log'

/** One change that a committed transaction made to a tracked table. */
export interface Change {
  readonly table: string
  /** `create`: an `add`, or a put whose key was generated. `update`: any other put, of a new key too: a put does not say. */
  readonly operation: 'create' | 'update' | 'delete' | 'clear' | 'delete-range'
  /** The record's key; absent for `clear` and `delete-range`. */
  readonly key?: IDBValidKey
  /** The record's key as text; absent for `clear`, `delete-range`, and a key that has no text. */
  readonly lid?: string | undefined
  /** The range of a `delete-range`. */
  readonly range?: LoggedRange
  /** Under whom it was written; absent: whoever owns the database. */
  readonly user?: string | null
  /** The value as it was stored; absent for deletions and for values that are logged by reference. */
  readonly readValue?: () => unknown
}

/** The changes of one committed transaction, in the order of its requests within each table. */
export interface CommittedChanges {
  readonly database: string
  readonly changes: readonly Change[]
}

type Listener = (committed: CommittedChanges) => void

const listeners = new Set<Listener>()

/** Calls `listener` after the `complete` of each transaction of this tab that changed a tracked table. Returns the way to stop it. */
export function onCommit(listener: Listener): () => void {
  const own: Listener = (committed) => listener(committed)
  listeners.add(own)
  return () => {
    listeners.delete(own)
  }
}

/** Tells the listeners what a recorder saw committed. The changes are made when they are first looked at. */
export function tellCommitted(recorder: TransactionRecorder): void {
  if (listeners.size === 0 || recorder.logs.size === 0) return
  let made: readonly Change[] | undefined
  const committed: CommittedChanges = {
    database: recorder.tracking.database,
    get changes() {
      made ??= changesOf(recorder)
      return made
    },
  }
  for (const listener of [...listeners]) {
    if (!listeners.has(listener)) continue
    try {
      listener(committed)
    } catch (error) {
      report(error)
    }
  }
}

function changesOf(recorder: TransactionRecorder): Change[] {
  const changes: Change[] = []
  for (const log of recorder.logs.values()) {
    for (const draft of log.drafts) {
      for (let index = 0; index < draft.length; index += 1) {
        const change = changeAt(log, draft, index)
        if (change !== undefined) changes.push(change)
      }
    }
  }
  return changes
}

function changeAt(log: TableLog, draft: RowDraft, index: number): Change | undefined {
  const kind = draft.kinds[index]
  const origin = draft.origins[index]
  if (draft.isVoid(index) || origin === Origin.repair) return undefined
  const common = draft.user === undefined ? {} : { user: draft.user }
  const table = log.shape.name
  const key = draft.keys[index]
  if (kind === Kind.clear) return { table, operation: 'clear', ...common }
  if (kind === Kind.deleteRange) {
    return { table, operation: 'delete-range', range: key as LoggedRange, ...common }
  }
  const change = new RecordChange(table, operationOf(kind, origin), key as IDBValidKey)
  if (draft.user !== undefined) change.user = draft.user
  if (draft.isPut(index)) change.readValue = () => log.valueAt(draft, index)
  return change
}

function operationOf(kind: number | undefined, origin: Origin | undefined): Change['operation'] {
  if (kind === Kind.delete) return 'delete'
  return origin === Origin.write ? 'update' : 'create'
}

/** A change of one record. Most listeners never ask for `lid`, so it is made when read. */
class RecordChange implements Change {
  declare user?: string | null
  declare readValue?: () => unknown

  constructor(
    readonly table: string,
    readonly operation: Change['operation'],
    readonly key: IDBValidKey,
  ) {}

  get lid(): string | undefined {
    return keyText(this.key)
  }
}
