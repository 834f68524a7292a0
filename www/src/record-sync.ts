/** How far single records are on their way to the server. */

import { report } from './error'
import type { RecordName } from './shell/interface'
import type { CapturedHint } from './tabs'

/** How far a record is on its way. */
export type RecordState =
  /** Not known yet: sync has not begun here, or no tab's engine has answered. */
  | 'unknown'
  /** Nothing of it waits: the server has confirmed its last change, as far as there was one. */
  | 'synced'
  /** A change of it is captured. */
  | 'pending'
  /** A change of it is ready to be sent, or sent and not confirmed. */
  | 'staged'
  /** A change of it was refused or cannot be sent: `listIssues` says why. */
  | 'held'
  /** Another device's change stands against one of it, and somebody must decide. */
  | 'conflict'

/** What the leading tab may say of a record. */
export const RECORD_STATES: readonly unknown[] = [
  undefined,
  'synced',
  'pending',
  'staged',
  'held',
  'conflict',
] satisfies (RecordState | undefined)[]

/** The server's word on a record. */
export interface RecordOutcome {
  /** Whether the server has everything of the record that this device has. */
  readonly ok: boolean
  /** Where it has not: the code of what is held, or `disposed` where nobody syncs any more. */
  readonly code?: string
}

/** What is known of a record at one time: the same object until its state changes. */
export interface RecordSyncSnapshot {
  readonly state: RecordState
  /**
   * Resolves once the server has confirmed every change of the record, or one is held. It never
   * rejects; while there is no server, it waits.
   */
  readonly settled: Promise<RecordOutcome>
}

/** A store in the sense of React's `useSyncExternalStore`: one record's sync. */
export interface RecordSync {
  /** Calls `listener` after each change of the state; gives the function that ends it. */
  subscribe(listener: () => void): () => void
  /**
   * What is known. Where nobody subscribes to the record, a tab that does not lead knows nothing
   * (`unknown`); `settled` asks.
   */
  getSnapshot(): RecordSyncSnapshot
}

/** A record's state, as the leading tab tells it; undefined where its engine does not know. */
export interface ToldState extends RecordName {
  readonly state: Exclude<RecordState, 'unknown'> | undefined
}

/** What the records of a tab need of the tab. */
export interface RecordHost {
  /** The records that are looked at have changed. */
  watching(names: readonly RecordName[]): void
  /** How far a record is, where this tab leads. */
  ask(name: RecordName): ToldState['state']
  /** Why a record is held; does not reject. */
  heldCode(name: RecordName): Promise<string>
}

/** What is always so on a server. */
export const UNKNOWN_RECORD: RecordSyncSnapshot = Object.freeze({
  state: 'unknown',
  settled: new Promise<RecordOutcome>(() => undefined),
})

interface Watch {
  readonly name: RecordName
  state: RecordState
  /** The tab's last capture that touched it, until the leader has heard of that. */
  unheard: number | undefined
  readonly handles: Set<Handle>
}

/** The records that a tab's app looks at. */
export class RecordWatches {
  readonly #host: RecordHost
  readonly #watches = new Map<string, Watch>()
  #captures = 0
  #telling = false

  constructor(host: RecordHost) {
    this.#host = host
  }

  /** How many captures this tab has told of. */
  get captures(): number {
    return this.#captures
  }

  /** The records that are looked at. */
  get names(): readonly RecordName[] {
    return [...this.#watches.values()].map(({ name }) => name)
  }

  recordSync(name: RecordName): RecordSync {
    return new Handle(name, this)
  }

  /** This tab has captured changes: the records are pending, whatever the leader has said before. */
  captured(hints: readonly CapturedHint[]): void {
    this.#captures += 1
    for (const { table, lids } of hints) {
      // A range that was removed has no name: it may hold any record.
      const named = lids.includes('') ? undefined : new Set(lids)
      for (const watch of this.#watches.values()) {
        if (watch.name.table === table && named?.has(watch.name.lid) !== false) {
          watch.unheard = this.#captures
          setState(watch, 'pending')
        }
      }
    }
  }

  /** The leader tells states, having heard of this tab's first `heard` captures. */
  told(states: readonly ToldState[], heard: number): void {
    for (const { table, lid, state } of states) {
      const watch = this.#watches.get(idOf({ table, lid }))
      if (watch === undefined || (watch.unheard ?? 0) > heard) continue
      // What this tab has captured is pending, whoever knows of it.
      if (state === undefined && watch.unheard !== undefined) continue
      watch.unheard = undefined
      setState(watch, state ?? 'unknown')
    }
  }

  /** Nobody syncs any more. */
  forget(): void {
    for (const watch of this.#watches.values()) {
      watch.unheard = undefined
      setState(watch, 'unknown')
    }
  }

  /** Nobody will: whoever waits is told so. */
  dispose(): void {
    for (const { handles } of [...this.#watches.values()]) {
      for (const handle of [...handles]) handle.settle({ ok: false, code: 'disposed' })
    }
  }

  /** What is known of a record that may not be looked at. */
  stateOf(name: RecordName): RecordState {
    return this.#watches.get(idOf(name))?.state ?? this.#host.ask(name) ?? 'unknown'
  }

  /** From now on the handle hears of its record. */
  watch(handle: Handle): void {
    const { name } = handle
    const id = idOf(name)
    const known = this.#watches.get(id)
    if (known !== undefined) {
      known.handles.add(handle)
      return
    }
    const state = this.#host.ask(name) ?? 'unknown'
    this.#watches.set(id, { name, state, unheard: undefined, handles: new Set([handle]) })
    this.#tell()
  }

  unwatch(handle: Handle): void {
    const id = idOf(handle.name)
    const watch = this.#watches.get(id)
    watch?.handles.delete(handle)
    if (watch?.handles.size === 0) {
      this.#watches.delete(id)
      this.#tell()
    }
  }

  heldCode(name: RecordName): Promise<string> {
    return this.#host.heldCode(name)
  }

  /** Once for all components that are mounted together. */
  #tell(): void {
    if (this.#telling) return
    this.#telling = true
    queueMicrotask(() => {
      this.#telling = false
      this.#host.watching(this.names)
    })
  }
}

function setState(watch: Watch, state: RecordState): void {
  if (watch.state === state) return
  watch.state = state
  for (const handle of [...watch.handles]) handle.changed(state)
}

function idOf({ table, lid }: RecordName): string {
  return `${lid}\0${table}`
}

interface Waiting {
  readonly promise: Promise<RecordOutcome>
  readonly resolve: (outcome: RecordOutcome | Promise<RecordOutcome>) => void
}

class Handle implements RecordSync {
  readonly name: RecordName
  readonly #watches: RecordWatches
  readonly #listeners = new Set<() => void>()
  #snapshot: Snapshot | undefined
  #waiting: Waiting | undefined

  constructor(name: RecordName, watches: RecordWatches) {
    this.name = name
    this.#watches = watches
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    const own = () => listener()
    this.#listeners.add(own)
    this.#watches.watch(this)
    return () => {
      this.#listeners.delete(own)
      this.#rest()
    }
  }

  readonly getSnapshot = (): RecordSyncSnapshot => {
    const state = this.#watches.stateOf(this.name)
    if (this.#snapshot?.state !== state) {
      this.#snapshot = new Snapshot(state, () => this.#settled())
    }
    return this.#snapshot
  }

  changed(state: RecordState): void {
    // Back in a state, the record is another story: its promise is a new one.
    this.#snapshot = undefined
    this.#settleBy(state)
    for (const listener of [...this.#listeners]) {
      if (!this.#listeners.has(listener)) continue
      try {
        listener()
      } catch (error) {
        report(error)
      }
    }
  }

  settle(outcome: RecordOutcome | Promise<RecordOutcome>): void {
    this.#waiting?.resolve(outcome)
    this.#waiting = undefined
    this.#rest()
  }

  #settled(): Promise<RecordOutcome> {
    if (this.#waiting !== undefined) return this.#waiting.promise
    let resolve: Waiting['resolve'] = () => undefined
    const promise = new Promise<RecordOutcome>((settle) => {
      resolve = settle
    })
    this.#waiting = { promise, resolve }
    this.#watches.watch(this)
    this.#settleBy(this.#watches.stateOf(this.name))
    return promise
  }

  #settleBy(state: RecordState): void {
    if (state === 'synced') this.settle({ ok: true })
    else if (state === 'held' || state === 'conflict') this.settle(this.#refusal())
  }

  async #refusal(): Promise<RecordOutcome> {
    return { ok: false, code: await this.#watches.heldCode(this.name) }
  }

  /** Whom nobody listens to and who waits for nothing is forgotten. */
  #rest(): void {
    if (this.#listeners.size === 0 && this.#waiting === undefined) this.#watches.unwatch(this)
  }
}

/** A snapshot whose promise is made when it is asked for. */
export class Snapshot implements RecordSyncSnapshot {
  readonly #settle: () => Promise<RecordOutcome>
  #settled: Promise<RecordOutcome> | undefined

  constructor(
    readonly state: RecordState,
    settle: () => Promise<RecordOutcome>,
  ) {
    this.#settle = settle
  }

  /** Most components only show the state. */
  get settled(): Promise<RecordOutcome> {
    this.#settled ??= this.#settle()
    return this.#settled
  }
}
