/** `createCloudSync`: one database of one app, kept in sync with one server. */

import { Calls } from './calls'
import {
  type Attachment,
  attach as attachCapture,
  type CloseReason,
  onClose,
  onCommit,
} from './capture'
import { type CloudSyncOptions, checkOptions, privacyForbids } from './config'
import type { EngineSource } from './engine-source'
import { TidesyncError } from './error'
import { type ResolvedConflict, readHistory } from './history'
import { randomId } from './ids'
import { choiceOf, heldCode, type IssueResolution, readIssues, type SyncIssue } from './issues'
import { encodeKey } from './key'
import { type RecordSync, RecordWatches } from './record-sync'
import { capabilities, type SyncStatus } from './status'
import { StatusStore } from './status-store'
import { Tab, type TabState } from './tab'
import type { CallRequest } from './tabs'

/** Sync of one database. */
export interface CloudSync {
  /**
   * Connects an open database: capture begins, and sync if {@link start} was called. Calling it for
   * a new connection to the same database replaces the old one.
   * @throws TidesyncError `not-installed` where `installTidesync` has not run, `another-database`
   * where this instance has a database of another name.
   */
  attach(database: IDBDatabase): void
  /**
   * Syncs `userId`'s changes from now on; null after signing out. Resolves when sync has begun, or at
   * once where no database is attached yet.
   * @throws TidesyncError `invalid-user` for what is neither null nor a text of at least one character.
   */
  start(userId: string | null): Promise<void>
  /** Stops syncing in this tab. Capture goes on. */
  stop(): void
  /** Syncs now; resolves to whether the server has confirmed everything that was pending. */
  forceSync(): Promise<boolean>
  /** Compares everything with what the server has, sends what differs, and resolves to whether the
   * server has confirmed all of it (R074). */
  triggerBackup(): Promise<boolean>
  /** Turns auto-sync on or off, and remembers it in the database, as soon as sync runs. */
  setEnabled(enabled: boolean): Promise<void>
  /** Tells that a token can be had again, after `getToken` gave null. */
  tokenAvailable(): void
  /**
   * Asks for everything that the server has, puts back what is missing here, and resolves to whether
   * all of it is here. What was changed or removed here, and is not sent yet, stays so.
   */
  restore(): Promise<boolean>
  /**
   * The user's changes that the server refused, that cannot be sent, or that another device's change
   * stands against (`conflict`), oldest first. Reads the database.
   */
  listIssues(): Promise<SyncIssue[]>
  /**
   * Decides what becomes of an issue; resolves to whether that is stored here (from then on it is
   * synced as any change). False where there is no such issue any more.
   * @throws TidesyncError `cannot-be-sent` for a value that has no wire form, `key-changed` for one with
   * the key of another record.
   */
  resolveIssue(id: string, resolution: IssueResolution): Promise<boolean>
  /** What was resolved of the user's conflicts on this device, newest first: the last 1,000. */
  history(): Promise<ResolvedConflict[]>
  /**
   * How far one record is on its way to the server, by its key.
   * @throws TidesyncError `bad-key` where `key` is no valid key.
   */
  recordSync(table: string, key: IDBValidKey): RecordSync
  /** The current status: the same object until something in it changes. */
  getStatus(): SyncStatus
  /** Calls `listener` after each change of the status; gives the function that ends it. */
  subscribe(listener: () => void): () => void
  /** Stops, and lets go of everything. */
  dispose(): void
}

/**
 * Makes an instance without globals, for apps with several databases or servers.
 * @throws TidesyncError `invalid-option` with the option's name and what is allowed.
 */
export function createCloudSync(options: CloudSyncOptions): CloudSync {
  return createCloudSyncFrom(options, () => options.wasmUrl)
}

/** The same with a WebAssembly module from `wasm`, which is asked when a tab first leads. */
export function createCloudSyncFrom(options: CloudSyncOptions, wasm: EngineSource): CloudSync {
  checkOptions(options)
  return new DatabaseSync(options, wasm)
}

class DatabaseSync implements CloudSync {
  readonly #state: TabState
  #attachment: Attachment | undefined
  #forgetClosing: () => void = () => undefined
  /** Between `start` and `stop`, also while no database is open. */
  #wanted = false
  #tab: Tab | undefined

  readonly getStatus: () => SyncStatus
  readonly subscribe: (listener: () => void) => () => void

  constructor(options: CloudSyncOptions, wasm: EngineSource) {
    const status = new StatusStore()
    this.getStatus = status.getStatus
    this.subscribe = status.subscribe
    const records: RecordWatches = new RecordWatches({
      watching: (names) => this.#tab?.watching(names),
      ask: (name) => this.#tab?.recordState(name),
      heldCode: (name) => heldCode(this.#attachment?.database, this.#user, name),
    })
    const signedIn = { user: undefined, writer: undefined, enabled: options.enabled }
    const calls = new Calls()
    this.#state = { id: randomId(), options, wasm, status, calls, records, ...signedIn }
  }

  attach(database: IDBDatabase): void {
    const known = this.#attachment
    if (known !== undefined && known.name !== database.name) {
      throw new TidesyncError(
        'another-database',
        `Tidesync: this instance syncs "${known.name}". Make one with createCloudSync for "${database.name}".`,
      )
    }
    const attachment = attachCapture(database)
    checkTables(attachment, this.#state.options)
    this.#attachment = attachment
    this.#forgetClosing()
    this.#forgetClosing = onClose((_name, reason, closed) => {
      if (closed === attachment.database) {
        this.#closing(attachment, reason)
      }
    })
    if (this.#wanted) {
      attachment.user = this.#state.writer
      if (this.#tab === undefined || known?.database !== attachment.database) {
        this.#begin(attachment)
      }
    }
  }

  start(userId: string | null): Promise<void> {
    checkUser(userId)
    const switched = this.#state.user !== userId
    this.#wanted = true
    this.#state.user = userId
    this.#state.writer = userId
    if (this.#attachment === undefined) {
      return Promise.resolve()
    }
    this.#attachment.user = userId
    if (this.#tab === undefined) {
      this.#begin(this.#attachment)
    } else if (switched) {
      this.#tab.userChanged(userId)
    } else if (this.getStatus().phase === 'needs-auth') {
      this.tokenAvailable()
    }
    return this.#initialized()
  }

  stop(): void {
    this.#wanted = false
    this.#halt()
  }

  dispose(): void {
    this.stop()
    this.#state.records.dispose()
    this.#forgetClosing()
    this.#attachment?.detach()
    this.#attachment = undefined
    this.#state.user = undefined
    this.#state.writer = undefined
  }

  forceSync(): Promise<boolean> {
    return this.#call({ type: 'forceSync' })
  }

  triggerBackup(): Promise<boolean> {
    return this.#call({ type: 'backup' })
  }

  async setEnabled(enabled: boolean): Promise<void> {
    this.#state.enabled = enabled
    this.#tab?.enabledChanged(enabled)
    await this.#initialized()
  }

  tokenAvailable(): void {
    this.#tab?.tokenAvailable()
  }

  restore(): Promise<boolean> {
    return this.#call({ type: 'restore' })
  }

  async listIssues(): Promise<SyncIssue[]> {
    const database = this.#attachment?.database
    return database === undefined ? [] : readIssues(database, this.#user)
  }

  async resolveIssue(id: string, resolution: IssueResolution): Promise<boolean> {
    const database = this.#attachment?.database
    const issue = (await this.listIssues()).find((it) => it.id === id)
    if (database === undefined || issue === undefined) {
      return false
    }
    const chosen = await choiceOf(database, issue, resolution)
    return this.#call({ type: 'settleHeld', op: id, ...chosen })
  }

  async history(): Promise<ResolvedConflict[]> {
    const database = this.#attachment?.database
    return database === undefined ? [] : readHistory(database, this.#user)
  }

  recordSync(table: string, key: IDBValidKey): RecordSync {
    return this.#state.records.recordSync({ table, lid: encodeKey(key) })
  }

  get #user(): string | null {
    return this.#state.user ?? null
  }

  #begin(attachment: Attachment): void {
    this.#halt()
    const { options, status } = this.#state
    if (privacyForbids(options)) {
      status.update({ phase: 'disabled', disabledReason: 'privacy', userId: this.#user })
      return
    }
    this.#tab = new Tab(attachment.name, this.#state)
    status.update({
      phase: 'idle',
      disabledReason: null,
      capabilities: capabilities(),
      isOnline: navigator.onLine,
    })
    this.#tab.start()
  }

  /** Ends what runs; it may begin again by itself. */
  #halt(): void {
    const tab = this.#tab
    if (tab === undefined) {
      return
    }
    this.#tab = undefined
    tab.stop()
    this.#state.calls.failAll()
    this.#state.records.forget()
    this.#state.status.update(STOPPED)
  }

  /** The engine's connection is closed before this returns: it must not block an upgrade (F12). */
  #closing(attachment: Attachment, reason: CloseReason): void {
    if (this.#attachment !== attachment) {
      return
    }
    this.#halt()
    if (reason === 'close') {
      this.#forgetClosing()
      this.#attachment = undefined
      return
    }
    // An app that ignores `versionchange` and writes on is synced on.
    const forget = onCommit(({ database }) => {
      if (this.#tab !== undefined || this.#attachment !== attachment) {
        forget()
      } else if (database === attachment.name && this.#wanted) {
        forget()
        this.#begin(attachment)
      }
    })
  }

  #call(request: CallRequest): Promise<boolean> {
    const tab = this.#tab
    if (tab === undefined) {
      return Promise.resolve(false)
    }
    return this.#state.calls.begin(request, (id) => tab.call(id, request))
  }

  /** Resolves when some tab's engine has read the database or failed, or sync was stopped. */
  #initialized(): Promise<void> {
    const done = () => {
      const { isInitialized, phase } = this.getStatus()
      const failed = phase === 'engine-failed' || phase === 'storage-failed'
      return this.#tab === undefined || isInitialized || failed
    }
    if (done()) {
      return Promise.resolve()
    }
    return new Promise((resolve) => {
      const forget = this.subscribe(() => {
        if (done()) {
          forget()
          resolve()
        }
      })
    })
  }
}

/** The status of a database that nothing syncs, as far as it cannot be taken from the last one. */
const STOPPED: Partial<SyncStatus> = {
  isEnabled: false,
  isInitialized: false,
  isLeader: false,
  hasPendingSync: false,
  isRetrying: false,
  phase: 'disabled',
  disabledReason: null,
  progress: null,
  nextAttemptAt: null,
}

/** The configured tables are an allow-list: what else is tracked would be sent (SEC23). */
function checkTables({ tables, detach }: Attachment, options: CloudSyncOptions): void {
  const unexpected = tables.find((table) => options.tables && !(table in options.tables))
  if (unexpected !== undefined) {
    detach()
    throw new TidesyncError(
      'unexpected-table',
      `Tidesync: the database tracks "${unexpected}", which the option "tables" does not name. Name it, or uninstall and install Tidesync with these tables in an upgrade.`,
    )
  }
}

/** An id that is no text would be written to the log, which the engine could not read. */
function checkUser(userId: unknown): void {
  if (userId !== null && (typeof userId !== 'string' || userId === '')) {
    throw new TidesyncError(
      'invalid-user',
      'Tidesync: a user is a text of at least one character, or null for nobody.',
    )
  }
}
