/** The instance that most apps have: one database, one server, configured once. */

import {
  attach as attachCapture,
  type InstallOptions,
  installTidesync as installCapture,
} from './capture'
import type { CloudSyncOptions } from './config'
import { TidesyncError } from './error'
import type { ResolvedConflict } from './history'
import type { IssueResolution, SyncIssue } from './issues'
import { encodeKey } from './key'
import { type RecordSync, type RecordSyncSnapshot, Snapshot } from './record-sync'
import { INITIAL_STATUS, type SyncStatus } from './status'
import { type CloudSync, createCloudSync } from './sync'

let service: CloudSync | undefined
/** The tables that {@link installTidesync} tracks where it is not told otherwise. */
let tables: readonly string[] | undefined
/** A database that was attached before anything was configured. */
let waiting: IDBDatabase | undefined
/** Who is synced, also before anything is configured. */
let wantedUser: string | null | undefined
/** Whom `initAutoSync` has named: the hook's end does not end that. */
let namedUser: string | null | undefined
const subscribers = new Set<() => void>()
/** Called when another instance is configured. */
const movers = new Set<() => void>()

/**
 * Says where and how to sync. Call it once, before or after {@link attach}; calling it again replaces
 * the configuration, and what runs is stopped.
 * @throws TidesyncError `invalid-option` with the option's name and what is allowed.
 */
export function configureCloudSync(options: CloudSyncOptions): void {
  setService(createCloudSync(options), options)
}

/** Makes `next` the instance that the functions below speak of. */
export function setService(next: CloudSync, options: CloudSyncOptions): void {
  tables = options.tables && Object.keys(options.tables)
  service?.dispose()
  service = next
  next.subscribe(notify)
  if (waiting !== undefined) {
    next.attach(waiting)
  }
  if (wantedUser !== undefined) {
    void next.start(wantedUser)
  }
  for (const move of [...movers]) {
    move()
  }
  notify()
}

/**
 * Makes a database ready to be synced. Call it in `onupgradeneeded`, after the app's own upgrade; its
 * writes that follow in the upgrade are captured. Tracks `options.tables`, else the `tables` given to
 * {@link configureCloudSync}, else every object store there is.
 * @throws TidesyncError `not-upgrading` outside of an upgrade, `unknown-table` for a table that does
 * not exist.
 */
export function installTidesync(
  database: IDBDatabase,
  transaction: IDBTransaction | null,
  options: InstallOptions = {},
): void {
  const tracked = options.tables ?? tables
  installCapture(database, transaction, tracked === undefined ? {} : { tables: tracked })
}

/**
 * Connects an open database: every change to its tracked tables is captured from now on, and synced
 * once {@link initAutoSync} or the hook has named the user.
 * @throws TidesyncError `not-installed` where `installTidesync` has not run in an upgrade.
 */
export function attach(database: IDBDatabase): void {
  waiting = database
  if (service === undefined) {
    attachCapture(database)
  } else {
    service.attach(database)
  }
}

/**
 * Syncs `userId`'s changes from now on; null after signing out. Resolves when sync has begun.
 * @throws TidesyncError `not-configured` before `configureCloudSync`, `invalid-user` for what is
 * neither null nor a text of at least one character.
 */
export async function initAutoSync(userId: string | null): Promise<void> {
  configured()
  namedUser = userId
  await startService(userId)
}

/**
 * The same, and before `configureCloudSync` it waits for that. Nobody, as the hook says before its
 * component knows the user, is whom `initAutoSync` has named, if anyone.
 */
export async function startService(userId: string | null): Promise<void> {
  wantedUser = userId ?? namedUser ?? null
  await service?.start(wantedUser)
}

/** Stops syncing in this tab. Capture goes on. */
export function stopAutoSync(): void {
  namedUser = undefined
  releaseService()
}

/** The hook's last component is gone: back to what `initAutoSync` has asked for, if anything. */
export function releaseService(): void {
  wantedUser = namedUser
  if (namedUser !== undefined) {
    void service?.start(namedUser)
    return
  }
  service?.stop()
}

/**
 * Turns auto-sync on or off, and remembers it in the database, as soon as sync runs.
 * @throws TidesyncError `not-configured` before `configureCloudSync`.
 */
export async function setAutoSyncEnabled(enabled: boolean): Promise<void> {
  await configured().setEnabled(enabled)
}

/** The current status: the same object until something in it changes. */
export function getAutoSyncStatus(): SyncStatus {
  return service?.getStatus() ?? INITIAL_STATUS
}

/** Calls `listener` after each change of the status; gives the function that ends it. */
export function subscribe(listener: () => void): () => void {
  const own = () => listener()
  subscribers.add(own)
  return () => {
    subscribers.delete(own)
  }
}

/** Syncs now, past buffer, throttle and backoff; resolves to whether the server confirmed all. */
export function forceSync(): Promise<boolean> {
  return service?.forceSync() ?? Promise.resolve(false)
}

/** Compares everything, sends what differs, and resolves to whether the server confirmed all. */
export function triggerBackup(): Promise<boolean> {
  return service?.triggerBackup() ?? Promise.resolve(false)
}

/**
 * Asks for everything that the server has, puts back what is missing here, and resolves to whether all
 * of it is here. What was changed or removed here, and is not sent yet, stays so.
 */
export function restore(): Promise<boolean> {
  return service?.restore() ?? Promise.resolve(false)
}

/**
 * The user's changes that the server refused, that cannot be sent, or that another device's change
 * stands against (`conflict`), oldest first. Reads the database.
 */
export function listSyncIssues(): Promise<SyncIssue[]> {
  return service?.listIssues() ?? Promise.resolve([])
}

/**
 * Decides what becomes of an issue; resolves to whether that is stored here. False where there is no
 * such issue any more.
 * @throws TidesyncError `cannot-be-sent` for a value that has no wire form, `key-changed` for one with
 * the key of another record.
 */
export function resolveSyncIssue(id: string, resolution: IssueResolution): Promise<boolean> {
  return service?.resolveIssue(id, resolution) ?? Promise.resolve(false)
}

/** What was resolved of the user's conflicts on this device, newest first: the last 1,000. */
export function listSyncHistory(): Promise<ResolvedConflict[]> {
  return service?.history() ?? Promise.resolve([])
}

/**
 * How far one record is on its way to the server, by its key.
 * @throws TidesyncError `bad-key` where `key` is no valid key.
 */
export function recordSync(table: string, key: IDBValidKey): RecordSync {
  encodeKey(key)
  return new ConfiguredRecord(table, key)
}

/** A record in the configured instance, also when another is configured. */
class ConfiguredRecord implements RecordSync {
  readonly #table: string
  readonly #key: IDBValidKey
  #service: CloudSync | undefined
  #record: RecordSync | undefined

  constructor(table: string, key: IDBValidKey) {
    this.#table = table
    this.#key = key
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    let leave = this.#current()?.subscribe(listener)
    const move = () => {
      leave?.()
      leave = this.#current()?.subscribe(listener)
      listener()
    }
    movers.add(move)
    return () => {
      movers.delete(move)
      leave?.()
    }
  }

  /** Before anything is configured: who asks for the server's word waits for that, too. */
  readonly #early = new Snapshot(
    'unknown',
    () =>
      new Promise((resolve) => {
        const move = () => {
          movers.delete(move)
          resolve(this.getSnapshot().settled)
        }
        movers.add(move)
      }),
  )

  readonly getSnapshot = (): RecordSyncSnapshot => this.#current()?.getSnapshot() ?? this.#early

  #current(): RecordSync | undefined {
    if (this.#service !== service) {
      this.#service = service
      this.#record = service?.recordSync(this.#table, this.#key)
    }
    return this.#record
  }
}

function notify(): void {
  for (const listener of [...subscribers]) {
    if (subscribers.has(listener)) {
      listener()
    }
  }
}

function configured(): CloudSync {
  if (service === undefined) {
    throw new TidesyncError(
      'not-configured',
      'Tidesync: call configureCloudSync({ url, getToken }) before you start to sync.',
    )
  }
  return service
}
