/** `createCloudSync`: one database of one app, kept in sync with one server. */

import { Calls } from './calls'
import {
  type Attachment,
  attach as attachCapture,
  type CloseReason,
  type CommittedChanges,
  onClose,
  onCommit,
} from './capture'
import { type CloudSyncOptions, checkOptions, privacyForbids } from './config'
import type { EngineSource } from './engine-source'
import { TidesyncError } from './error'
import { toHints } from './hints'
import { type ResolvedConflict, readHistory } from './history'
import { randomId } from './ids'
import { choiceOf, heldCode, type IssueResolution, readIssues, type SyncIssue } from './issues'
import { encodeKey } from './key'
import { Leader } from './leader'
import { Leadership } from './leadership'
import { consoleLogger } from './logger'
import { RecordDesk } from './record-desk'
import { type RecordSync, RecordWatches } from './record-sync'
import type { RecordName } from './shell/interface'
import { capabilities, type SyncStatus } from './status'
import { StatusStore } from './status-store'
import { type CallRequest, type TabMessage, Tabs } from './tabs'

/** A tab that leads answers within this time, or another takes its place. */
const ALIVE_WITHIN_MS = 5_000

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
   * @throws TidesyncError `cannot-be-sent` for a value that has no wire form.
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
  readonly #options: CloudSyncOptions
  readonly #wasm: EngineSource
  readonly #status = new StatusStore()
  readonly #calls = new Calls()
  readonly #records: RecordWatches = new RecordWatches({
    watching: (names) => this.#watching(names),
    ask: (name) => this.#run?.leader?.recordStates([name])[0],
    heldCode: (name) => heldCode(this.#attachment?.database, this.#user ?? null, name),
  })
  /** The other tabs that are looked at, as this tab knows while it leads. */
  readonly #visibleTabs = new Set<string>()
  readonly #tab = randomId()
  #attachment: Attachment | undefined
  #forgetClosing: () => void = () => undefined
  /** Who is signed in, by the last word of any tab. */
  #user: string | null | undefined
  /** Whom the app in this tab shows: its writes are theirs, whoever signs in elsewhere (I29). */
  #writer: string | null | undefined
  #enabled: boolean | undefined
  /** Between `start` and `stop`, also while no database is open. */
  #wanted = false
  #visible = true
  #run: Run | undefined

  readonly getStatus: () => SyncStatus = this.#status.getStatus
  readonly subscribe: (listener: () => void) => () => void = this.#status.subscribe

  constructor(options: CloudSyncOptions, wasm: EngineSource) {
    this.#options = options
    this.#wasm = wasm
    this.#enabled = options.enabled
  }

  attach(database: IDBDatabase): void {
    const attachment = attachCapture(database)
    const known = this.#attachment
    if (known !== undefined && known.name !== attachment.name) {
      throw new TidesyncError(
        'another-database',
        `Tidesync: this instance syncs "${known.name}". Make one with createCloudSync for "${attachment.name}".`,
      )
    }
    checkTables(attachment, this.#options)
    this.#attachment = attachment
    this.#forgetClosing()
    this.#forgetClosing = onClose((_name, reason, database) => {
      if (database === attachment.database) {
        this.#closing(attachment, reason)
      }
    })
    if (this.#wanted) {
      attachment.user = this.#writer
      if (this.#run === undefined || known?.database !== attachment.database) {
        this.#begin(attachment)
      }
    }
  }

  start(userId: string | null): Promise<void> {
    checkUser(userId)
    const switched = this.#user !== userId
    this.#wanted = true
    this.#user = userId
    this.#writer = userId
    if (this.#attachment === undefined) {
      return Promise.resolve()
    }
    this.#attachment.user = userId
    if (this.#run === undefined) {
      this.#begin(this.#attachment)
    } else if (switched) {
      this.#run.leader?.tell({ type: 'userChanged', user: userId })
      this.#run.tabs.send({ type: 'user', user: userId })
    } else if (this.getStatus().phase === 'needs-auth') {
      this.tokenAvailable()
    }
    return this.#initialized()
  }

  stop(): void {
    this.#wanted = false
    this.#halt()
  }

  /** Ends what runs; it may begin again by itself. */
  #halt(): void {
    const run = this.#run
    if (run === undefined) {
      return
    }
    for (const forget of run.listeners) {
      forget()
    }
    run.leadership.stop()
    this.#run = undefined
    run.tabs.close()
    clearTimeout(run.aliveTimer)
    this.#calls.failAll()
    this.#records.forget()
    this.#status.update(STOPPED)
  }

  dispose(): void {
    this.stop()
    this.#records.dispose()
    this.#forgetClosing()
    this.#attachment?.detach()
    this.#attachment = undefined
    this.#user = undefined
    this.#writer = undefined
  }

  forceSync(): Promise<boolean> {
    return this.#call({ type: 'forceSync' })
  }

  triggerBackup(): Promise<boolean> {
    return this.#call({ type: 'backup' })
  }

  async setEnabled(enabled: boolean): Promise<void> {
    this.#enabled = enabled
    this.#run?.leader?.tell({ type: 'setEnabled', enabled })
    this.#run?.tabs.send({ type: 'enabled', enabled })
    await this.#initialized()
  }

  tokenAvailable(): void {
    this.#run?.leader?.tell({ type: 'tokenAvailable' })
    this.#run?.tabs.send({ type: 'token' })
  }

  restore(): Promise<boolean> {
    return this.#call({ type: 'restore' })
  }

  async listIssues(): Promise<SyncIssue[]> {
    const database = this.#attachment?.database
    return database === undefined ? [] : readIssues(database, this.#user ?? null)
  }

  async resolveIssue(id: string, resolution: IssueResolution): Promise<boolean> {
    const database = this.#attachment?.database
    const issue = (await this.listIssues()).find((it) => it.id === id)
    if (database === undefined || issue === undefined) {
      return false
    }
    const chosen = await choiceOf(database, issue.table, resolution)
    return this.#call({ type: 'settleHeld', op: id, ...chosen })
  }

  async history(): Promise<ResolvedConflict[]> {
    const database = this.#attachment?.database
    return database === undefined ? [] : readHistory(database, this.#user ?? null)
  }

  recordSync(table: string, key: IDBValidKey): RecordSync {
    return this.#records.recordSync({ table, lid: encodeKey(key) })
  }

  #begin(attachment: Attachment): void {
    this.#halt()
    if (privacyForbids(this.#options)) {
      this.#status.update({
        phase: 'disabled',
        disabledReason: 'privacy',
        userId: this.#user ?? null,
      })
      return
    }
    const { name } = attachment
    const tabs = new Tabs(name, (message) => this.#heard(message))
    const leadership = new Leadership(name, {
      lead: () => this.#lead(attachment),
      follow: () => this.#follow(),
    })
    const listeners = [...this.#listenToCapture(name), ...this.#listenToPage()]
    const none = { leader: undefined, desk: undefined, aliveTimer: undefined }
    this.#run = { tabs, leadership, listeners, ...none }
    this.#status.update({
      phase: 'idle',
      disabledReason: null,
      capabilities: capabilities(),
      isOnline: navigator.onLine,
    })
    this.#visible = document.visibilityState === 'visible'
    leadership.start()
    this.#introduce()
  }

  /** Tells the leader who is here, for whom, and with which setting. */
  #introduce(): void {
    const user = this.#user ?? null
    this.#expectLeader({ type: 'hello', tab: this.#tab, visible: this.#visible, user })
    if (this.#enabled !== undefined) {
      this.#run?.tabs.send({ type: 'enabled', enabled: this.#enabled })
    }
    this.#watchAgain()
  }

  #listenToCapture(name: string): (() => void)[] {
    return [
      onCommit((committed) => {
        if (committed.database === name) {
          this.#captured(committed)
        }
      }),
    ]
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
      if (this.#run !== undefined || this.#attachment !== attachment) {
        forget()
      } else if (database === attachment.name && this.#wanted) {
        forget()
        this.#begin(attachment)
      }
    })
  }

  #listenToPage(): (() => void)[] {
    return [
      listen(globalThis, 'online', () => this.#wentOnline(true)),
      listen(globalThis, 'offline', () => this.#wentOnline(false)),
      listen(globalThis, 'pageshow', () => {
        this.#seen(document.visibilityState === 'visible')
        this.#watchAgain()
      }),
      listen(globalThis, 'pagehide', () => {
        this.#seen(false)
        this.#watching([])
      }),
      listen(document, 'visibilitychange', () =>
        this.#seen(document.visibilityState === 'visible'),
      ),
      ...(this.#options.warnBeforeUnload === true ? [this.#warnBeforeUnload()] : []),
    ]
  }

  #warnBeforeUnload(): () => void {
    return listen(globalThis, 'beforeunload', (event) => {
      if (this.getStatus().hasPendingSync) {
        event.preventDefault()
      }
    })
  }

  #lead(attachment: Attachment): void {
    const run = this.#run
    if (run === undefined) {
      return
    }
    this.#leaderAnswered(run)
    run.leader?.stop()
    const leader = new Leader(
      {
        database: attachment.name,
        options: this.#options,
        wasm: this.#wasm,
        state: () => ({
          user: this.#user ?? null,
          enabled: this.#enabled,
          visible: this.#anyVisible(),
        }),
      },
      {
        status: (status) => this.#engineStatus(status),
        resolved: (call, ok) => this.#resolved(call, ok),
        turned: () => this.#tellRecords(),
        log: (level, message) => (this.#options.logger ?? consoleLogger)(level, message),
        fenced: () => {
          run.leadership.yield()
          this.#introduce()
        },
      },
    )
    this.#visibleTabs.clear()
    run.leader = leader
    run.desk = new RecordDesk()
    run.desk.watched(this.#tab, this.#records.names, this.#records.captures)
    this.#status.update({ isLeader: true })
    run.tabs.send({ type: 'leading' })
    for (const [id, request] of this.#calls.waiting) {
      leader.call(request, (call) => this.#calls.numbered(call, id))
    }
    void leader.run()
  }

  #follow(): void {
    const run = this.#run
    run?.leader?.stop()
    if (run !== undefined) {
      run.leader = undefined
      run.desk = undefined
    }
    this.#calls.forgetNumbers()
    this.#status.update({ isLeader: false })
  }

  #engineStatus(status: Partial<SyncStatus>): void {
    const own = { isLeader: true, isOnline: navigator.onLine, capabilities: capabilities() }
    this.#status.update({ ...status, ...own })
    this.#run?.tabs.send({ type: 'status', status: this.getStatus() })
  }

  #captured({ changes }: CommittedChanges): void {
    const run = this.#run
    if (run === undefined) {
      return
    }
    const hints = toHints(changes, this.#options)
    this.#records.captured(hints)
    const { captures } = this.#records
    if (run.leader !== undefined) {
      run.desk?.captured(this.#tab, hints, captures)
      run.leader.captured(hints)
    } else {
      // Until the leader has heard of it: nobody may say meanwhile that everything is synced.
      const pending = Math.max(this.getStatus().pending, 1)
      this.#status.update({ pending, hasPendingSync: true })
      this.#expectLeader({ type: 'captured', tab: this.#tab, captures, hints })
    }
  }

  /** The records that this tab's app looks at are others now. */
  #watching(records: readonly RecordName[]): void {
    const run = this.#run
    if (run?.desk !== undefined) {
      run.desk.watched(this.#tab, records, this.#records.captures)
      this.#tellRecords()
    } else {
      const { captures } = this.#records
      run?.tabs.send({ type: 'watch', tab: this.#tab, captures, records })
    }
  }

  /** Whoever leads may not know what this tab's app looks at. */
  #watchAgain(): void {
    const { names } = this.#records
    if (names.length > 0) {
      this.#watching(names)
    }
  }

  /** Tells this tab's app and the other tabs what has changed of the records that they look at. */
  #tellRecords(): void {
    const run = this.#run
    const news = run?.desk?.news((names) => run.leader?.recordStates(names) ?? [])
    if (news === undefined) {
      return
    }
    this.#records.told(news.states, news.heard[this.#tab] ?? 0)
    if (Object.keys(news.heard).some((tab) => tab !== this.#tab)) {
      run?.tabs.send({ type: 'records', news })
    }
  }

  /** Tells the leader something that it must answer; one that does not is replaced (F13). */
  #expectLeader(message: TabMessage): void {
    const run = this.#run
    if (run === undefined || run.leader !== undefined) {
      return
    }
    run.tabs.send(message)
    run.aliveTimer ??= setTimeout(() => {
      run.aliveTimer = undefined
      run.leadership.takeOver()
    }, ALIVE_WITHIN_MS)
  }

  #leaderAnswered(run: Run): void {
    clearTimeout(run.aliveTimer)
    run.aliveTimer = undefined
  }

  #heard(message: TabMessage): void {
    const run = this.#run
    if (run === undefined) {
      return
    }
    if (run.leader !== undefined) {
      this.#heardAsLeader(message, run, run.leader)
    } else {
      this.#heardAsFollower(message, run)
    }
    if (message.type === 'enabled') {
      this.#enabled = message.enabled
    }
  }

  #heardAsLeader(message: TabMessage, run: Run, leader: Leader): void {
    switch (message.type) {
      case 'hello':
        run.tabs.send({ type: 'alive', visible: this.#visible })
        this.#tabSeen(message.tab, message.visible, leader)
        if (message.user !== null) {
          this.#signedIn(message.user, leader)
        }
        run.tabs.send({ type: 'status', status: this.getStatus() })
        break
      case 'captured':
        run.tabs.send({ type: 'alive', visible: this.#visible })
        run.desk?.captured(message.tab, message.hints, message.captures)
        leader.captured(message.hints)
        run.tabs.send({ type: 'status', status: this.getStatus() })
        break
      case 'watch':
        run.desk?.watched(message.tab, message.records, message.captures)
        this.#tellRecords()
        break
      case 'call':
        run.tabs.send({ type: 'alive', visible: this.#visible })
        this.#called(message, leader)
        break
      case 'enabled':
        leader.tell({ type: 'setEnabled', enabled: message.enabled })
        break
      case 'user':
        this.#signedIn(message.user, leader)
        break
      case 'token':
        leader.tell({ type: 'tokenAvailable' })
        break
      case 'visible':
        this.#tabSeen(message.tab, message.visible, leader)
        break
      case 'alive':
      case 'leading':
      case 'status':
      case 'records':
      case 'result':
        break
    }
  }

  /** What a tab asks for is for whom it shows: while another user is synced, that is not done. */
  #called({ id, user, request }: CallMessage, leader: Leader): void {
    if (user !== null && user !== this.#user) {
      this.#answered(id, false)
    } else {
      leader.call(request, (call) => this.#calls.numbered(call, id))
    }
  }

  #tabSeen(tab: string, visible: boolean, leader: Leader): void {
    if (visible) {
      this.#visibleTabs.add(tab)
    } else {
      this.#visibleTabs.delete(tab)
    }
    leader.tell({ type: 'visible', visible: this.#anyVisible() })
  }

  /** Another tab's last word on who is signed in. */
  #signedIn(user: string | null, leader: Leader): void {
    if (this.#user !== user) {
      this.#user = user
      leader.tell({ type: 'userChanged', user })
    }
  }

  #heardAsFollower(message: TabMessage, run: Run): void {
    switch (message.type) {
      case 'alive':
        this.#leaderAnswered(run)
        // Browsers hold back the timers of hidden pages: who is looked at serves better (F18).
        if (this.#visible && !message.visible) {
          run.leadership.takeOver()
        }
        break
      case 'leading':
        this.#leaderAnswered(run)
        this.#introduce()
        for (const [id, request] of this.#calls.waiting) {
          this.#expectLeader({ type: 'call', id, user: this.#writer ?? null, request })
        }
        break
      case 'status':
        this.#status.update({
          ...message.status,
          isLeader: false,
          isOnline: navigator.onLine,
          capabilities: capabilities(),
        })
        break
      case 'records':
        this.#records.told(message.news.states, message.news.heard[this.#tab] ?? 0)
        break
      case 'result':
        this.#calls.settle(message.id, message.ok)
        break
      case 'user':
        this.#user = message.user
        break
      case 'hello':
        this.#user = message.user ?? this.#user
        break
      case 'captured':
      case 'watch':
      case 'call':
      case 'enabled':
      case 'token':
      case 'visible':
        break
    }
  }

  #wentOnline(online: boolean): void {
    this.#status.update({ isOnline: online })
    this.#run?.leader?.tell({ type: 'online', online })
    if (online) {
      this.#run?.leader?.retry()
    }
  }

  #seen(visible: boolean): void {
    this.#visible = visible
    const run = this.#run
    if (run?.leader === undefined) {
      // A tab that is looked at needs a leader that is awake, and is one itself rather than a hidden one.
      if (visible) {
        this.#introduce()
      } else {
        run?.tabs.send({ type: 'visible', tab: this.#tab, visible })
      }
    } else {
      run.leader.tell({ type: 'visible', visible: this.#anyVisible() })
      run.leader.retry()
    }
  }

  #anyVisible(): boolean {
    return this.#visible || this.#visibleTabs.size > 0
  }

  #call(request: CallRequest): Promise<boolean> {
    const run = this.#run
    if (run === undefined) {
      return Promise.resolve(false)
    }
    return this.#calls.begin(request, (id) => {
      const message: CallMessage = { type: 'call', id, user: this.#writer ?? null, request }
      if (run.leader === undefined) {
        this.#expectLeader(message)
      } else {
        this.#called(message, run.leader)
      }
    })
  }

  /** The engine has answered a call, of this tab or of another. */
  #resolved(call: number, ok: boolean): void {
    const id = this.#calls.resolved(call)
    if (id !== undefined) {
      this.#answered(id, ok)
    }
  }

  #answered(id: string, ok: boolean): void {
    if (!this.#calls.settle(id, ok)) {
      this.#run?.tabs.send({ type: 'result', id, ok })
    }
  }

  /** Resolves when some tab's engine has read the database or failed, or sync was stopped. */
  #initialized(): Promise<void> {
    const done = () => {
      const { isInitialized, phase } = this.getStatus()
      const failed = phase === 'engine-failed' || phase === 'storage-failed'
      return this.#run === undefined || isInitialized || failed
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

type CallMessage = Extract<TabMessage, { type: 'call' }>

/** What runs from `start` to `stop`. */
interface Run {
  readonly tabs: Tabs
  readonly leadership: Leadership
  readonly listeners: readonly (() => void)[]
  leader: Leader | undefined
  /** While this tab leads. */
  desk: RecordDesk | undefined
  aliveTimer: ReturnType<typeof setTimeout> | undefined
}

function listen(target: EventTarget, type: string, listener: (event: Event) => void): () => void {
  target.addEventListener(type, listener)
  return () => target.removeEventListener(type, listener)
}
