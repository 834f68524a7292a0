/**
 * One tab's part in the sync of a database, from `start` to `stop`: it leads, with the engine, or it
 * follows the tab that does; and it tells the others what happens in it.
 */

import type { Calls } from './calls'
import { type CommittedChanges, onCommit } from './capture'
import type { CloudSyncOptions } from './config'
import type { EngineSource } from './engine-source'
import { toHints } from './hints'
import { Leader } from './leader'
import { Leadership } from './leadership'
import { consoleLogger } from './logger'
import { RecordDesk } from './record-desk'
import type { RecordWatches, ToldState } from './record-sync'
import type { RecordName } from './shell/interface'
import { capabilities, type SyncStatus } from './status'
import type { StatusStore } from './status-store'
import { type CallRequest, type TabMessage, Tabs } from './tabs'

/** A tab that leads answers within this time, or another takes its place. */
const ALIVE_WITHIN_MS = 5_000

type CallMessage = Extract<TabMessage, { type: 'call' }>
type HelloMessage = Extract<TabMessage, { type: 'hello' }>

/** What outlives a {@link Tab}: it ends and begins anew with the connection to the database. */
export interface TabState {
  /** This tab's name for the others. */
  readonly id: string
  readonly options: CloudSyncOptions
  readonly wasm: EngineSource
  readonly status: StatusStore
  readonly calls: Calls
  readonly records: RecordWatches
  /** Who is signed in, by the last word of any tab. */
  user: string | null | undefined
  /** Whom the app in this tab shows: its writes are theirs, whoever signs in elsewhere (I29). */
  writer: string | null | undefined
  /** The setting of the user, where the app has told it. */
  enabled: boolean | undefined
}

/** A tab that syncs. */
export class Tab {
  readonly #state: TabState
  readonly #database: string
  readonly #tabs: Tabs
  readonly #leadership: Leadership
  readonly #listeners: readonly (() => void)[]
  /** The other tabs that are looked at, as this tab knows while it leads. */
  readonly #visibleTabs = new Set<string>()
  #visible = document.visibilityState === 'visible'
  #leader: Leader | undefined
  /** While this tab leads. */
  #desk: RecordDesk | undefined
  #aliveTimer: ReturnType<typeof setTimeout> | undefined
  #stopped = false

  /** Begins to listen to the page, to capture and to the other tabs of `database`. */
  constructor(database: string, state: TabState) {
    this.#state = state
    this.#database = database
    this.#tabs = new Tabs(database, (message) => this.#heard(message))
    this.#leadership = new Leadership(database, {
      lead: () => this.#lead(),
      follow: () => {
        this.#follow()
        this.#join()
      },
    })
    this.#listeners = [
      onCommit((committed) => {
        if (committed.database === database) {
          this.#captured(committed)
        }
      }),
      ...this.#listenToPage(),
    ]
  }

  /** Leads as soon as no other tab does. */
  start(): void {
    this.#leadership.start()
    this.#introduce(true)
  }

  /** Ends all of it. The engine's connection is closed before this returns. */
  stop(): void {
    this.#stopped = true
    for (const forget of this.#listeners) {
      forget()
    }
    this.#leadership.stop()
    this.#tabs.close()
    this.#leaderAnswered()
  }

  /** Another user has signed in in this tab, or nobody is signed in any more. */
  userChanged(user: string | null): void {
    this.#leader?.tell({ type: 'userChanged', user })
    this.#tabs.send({ type: 'user', user })
  }

  enabledChanged(enabled: boolean): void {
    this.#leader?.tell({ type: 'setEnabled', enabled })
    this.#tabs.send({ type: 'enabled', enabled })
  }

  tokenAvailable(): void {
    this.#leader?.tell({ type: 'tokenAvailable' })
    this.#tabs.send({ type: 'token' })
  }

  /** Brings a call of this tab's app to the engine. */
  call(id: string, request: CallRequest): void {
    const message: CallMessage = { type: 'call', id, user: this.#state.writer ?? null, request }
    if (this.#leader === undefined) {
      this.#expectLeader(message)
    } else {
      this.#called(message, this.#leader)
    }
  }

  /** The records that this tab's app looks at are others now. */
  watching(records: readonly RecordName[]): void {
    const { id, records: watches } = this.#state
    if (this.#desk !== undefined) {
      this.#desk.watched(id, records, watches.captures)
      this.#tellRecords()
    } else {
      this.#tabs.send({ type: 'watch', tab: id, captures: watches.captures, records })
    }
  }

  /** How far a record is on its way, where this tab leads and knows. */
  recordState(name: RecordName): ToldState['state'] {
    return this.#leader?.recordStates([name])[0]
  }

  /** Brings what this tab's app still waits for to a new leader. */
  #callAgain(): void {
    for (const [id, request] of this.#state.calls.waiting) {
      this.call(id, request)
    }
  }

  #listenToPage(): (() => void)[] {
    const isVisible = () => document.visibilityState === 'visible'
    return [
      listen(globalThis, 'online', () => this.#wentOnline(true)),
      listen(globalThis, 'offline', () => this.#wentOnline(false)),
      listen(globalThis, 'pageshow', () => {
        this.#seen(isVisible())
        this.#watchAgain()
      }),
      listen(globalThis, 'pagehide', () => {
        this.#seen(false)
        this.watching([])
      }),
      listen(document, 'visibilitychange', () => this.#seen(isVisible())),
      ...(this.#state.options.warnBeforeUnload === true ? [this.#warnBeforeUnload()] : []),
    ]
  }

  #warnBeforeUnload(): () => void {
    return listen(globalThis, 'beforeunload', (event) => {
      if (this.#state.status.getStatus().hasPendingSync) {
        event.preventDefault()
      }
    })
  }

  #lead(): void {
    const { id, options, wasm, status, records } = this.#state
    this.#leaderAnswered()
    this.#leader?.stop()
    const leader = new Leader(
      {
        database: this.#database,
        options,
        wasm,
        state: () => ({
          user: this.#state.user ?? null,
          enabled: this.#state.enabled,
          visible: this.#anyVisible(),
        }),
      },
      {
        status: (change) => this.#engineStatus(change),
        answered: (id, ok) => this.#answered(id, ok),
        turned: () => this.#tellRecords(),
        log: (level, message) => (options.logger ?? consoleLogger)(level, message),
        fenced: () => this.#leadership.yield(),
      },
    )
    this.#visibleTabs.clear()
    this.#leader = leader
    this.#desk = new RecordDesk()
    this.#desk.watched(id, records.names, records.captures)
    status.update({ isLeader: true })
    this.#tabs.send({ type: 'leading' })
    this.#callAgain()
    void leader.run()
  }

  #follow(): void {
    this.#leader?.stop()
    this.#leader = undefined
    this.#desk = undefined
    this.#state.status.update({ isLeader: false })
  }

  #engineStatus(change: Partial<SyncStatus>): void {
    const own = { isLeader: true, isOnline: navigator.onLine, capabilities: capabilities() }
    this.#state.status.update({ ...change, ...own })
    this.#tellStatus()
  }

  #tellStatus(): void {
    this.#tabs.send({ type: 'status', status: this.#state.status.getStatus() })
  }

  #captured({ changes }: CommittedChanges): void {
    const { id, options, status, records } = this.#state
    const hints = toHints(changes, options)
    records.captured(hints)
    const { captures } = records
    if (this.#leader !== undefined) {
      this.#desk?.captured(id, hints, captures)
      this.#leader.captured(hints)
    } else {
      // Until the leader has heard of it: nobody may say meanwhile that everything is synced.
      const pending = Math.max(status.getStatus().pending, 1)
      status.update({ pending, hasPendingSync: true })
      this.#expectLeader({ type: 'captured', tab: id, captures, hints })
    }
  }

  /** Another tab leads, as it says or as this tab finds, whichever is first. */
  #join(): void {
    if (!this.#stopped) {
      this.#introduce()
      this.#callAgain()
    }
  }

  /** Tells the leader who is here, for whom, and with which setting. */
  #introduce(news = false): void {
    const { id, user = null, enabled } = this.#state
    this.#expectLeader({ type: 'hello', tab: id, visible: this.#visible, user, news })
    if (enabled !== undefined) {
      this.#tabs.send({ type: 'enabled', enabled })
    }
    this.#watchAgain()
  }

  /** Whoever leads may not know what this tab's app looks at. */
  #watchAgain(): void {
    const { names } = this.#state.records
    if (names.length > 0) {
      this.watching(names)
    }
  }

  /** Tells this tab's app and the other tabs what has changed of the records that they look at. */
  #tellRecords(): void {
    const news = this.#desk?.news((names) => this.#leader?.recordStates(names) ?? [])
    if (news === undefined) {
      return
    }
    const { id, records } = this.#state
    records.told(news.states, news.heard[id] ?? 0)
    if (Object.keys(news.heard).some((tab) => tab !== id)) {
      this.#tabs.send({ type: 'records', news })
    }
  }

  /** Tells the leader something that it must answer; one that does not is replaced (F13). */
  #expectLeader(message: TabMessage): void {
    if (this.#leader !== undefined) {
      return
    }
    this.#tabs.send(message)
    this.#aliveTimer ??= setTimeout(() => {
      this.#aliveTimer = undefined
      this.#leadership.takeOver()
    }, ALIVE_WITHIN_MS)
  }

  #leaderAnswered(): void {
    clearTimeout(this.#aliveTimer)
    this.#aliveTimer = undefined
  }

  #heard(message: TabMessage): void {
    if (this.#leader !== undefined) {
      this.#heardAsLeader(message, this.#leader)
    } else {
      this.#heardAsFollower(message)
    }
    if (message.type === 'enabled') {
      this.#state.enabled = message.enabled
    }
  }

  #heardAsLeader(message: TabMessage, leader: Leader): void {
    switch (message.type) {
      case 'hello':
        this.#answer()
        this.#tabSeen(message.tab, message.visible, leader)
        this.#signedIn(this.#userAfter(message), leader)
        this.#tellStatus()
        break
      case 'captured':
        this.#answer()
        this.#desk?.captured(message.tab, message.hints, message.captures)
        leader.captured(message.hints)
        this.#tellStatus()
        break
      case 'watch':
        this.#desk?.watched(message.tab, message.records, message.captures)
        this.#tellRecords()
        break
      case 'call':
        this.#answer()
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
    }
  }

  #answer(): void {
    this.#tabs.send({ type: 'alive', visible: this.#visible })
  }

  /** What a tab asks for is for whom it shows: while another user is synced, that is not done. */
  #called({ id, user, request }: CallMessage, leader: Leader): void {
    if (user !== null && user !== this.#state.user) {
      this.#answered(id, false)
    } else {
      leader.call(id, request)
    }
  }

  /** A call is answered, of this tab or of another. */
  #answered(id: string, ok: boolean): void {
    if (!this.#state.calls.settle(id, ok)) {
      this.#tabs.send({ type: 'result', id, ok })
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

  /** Who is signed in after an introduction: a tab that thaws may be the last to know. */
  #userAfter({ user, news }: HelloMessage): string | null {
    const known = this.#state.user ?? null
    return news === true ? (user ?? known) : (known ?? user)
  }

  /** Another tab's last word on who is signed in. */
  #signedIn(user: string | null, leader: Leader): void {
    if (this.#state.user !== user) {
      this.#state.user = user
      leader.tell({ type: 'userChanged', user })
    }
  }

  #heardAsFollower(message: TabMessage): void {
    const { id, status, calls, records } = this.#state
    switch (message.type) {
      case 'alive':
        this.#leaderAnswered()
        // Browsers hold back the timers of hidden pages: who is looked at serves better (F18).
        if (this.#visible && !message.visible) {
          this.#leadership.takeOver()
        }
        break
      case 'leading':
        this.#leaderAnswered()
        this.#join()
        break
      case 'status':
        status.update({
          ...message.status,
          isLeader: false,
          isOnline: navigator.onLine,
          capabilities: capabilities(),
        })
        break
      case 'records':
        records.told(message.news.states, message.news.heard[id] ?? 0)
        break
      case 'result':
        calls.settle(message.id, message.ok)
        break
      case 'user':
        this.#state.user = message.user
        break
      case 'hello':
        this.#state.user = this.#userAfter(message)
        break
    }
  }

  #wentOnline(online: boolean): void {
    this.#state.status.update({ isOnline: online })
    this.#leader?.tell({ type: 'online', online })
    if (online) {
      this.#leader?.retry()
    }
  }

  #seen(visible: boolean): void {
    this.#visible = visible
    if (this.#leader !== undefined) {
      this.#leader.tell({ type: 'visible', visible: this.#anyVisible() })
      this.#leader.retry()
      if (!visible) {
        this.#answer()
      }
    } else if (visible) {
      // It needs a leader that is awake, and is one itself rather than a hidden one.
      this.#introduce()
    } else {
      this.#tabs.send({ type: 'visible', tab: this.#state.id, visible })
    }
  }

  #anyVisible(): boolean {
    return this.#visible || this.#visibleTabs.size > 0
  }
}

function listen(target: EventTarget, type: string, listener: (event: Event) => void): () => void {
  target.addEventListener(type, listener)
  return () => target.removeEventListener(type, listener)
}
