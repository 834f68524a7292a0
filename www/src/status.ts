/** What is told of a database's sync: one immutable snapshot, the same for every reader. */

/** What the engine is doing. */
export type Phase =
  | 'idle'
  | 'buffering'
  | 'waiting'
  | 'syncing'
  | 'backing-off'
  | 'probing'
  | 'offline'
  | 'needs-auth'
  | 'disabled'
  | 'engine-failed'
  | 'storage-failed'

/** Why auto-sync is off (Z10). */
export type DisabledReason = 'user' | 'failures' | 'privacy' | 'not-configured'

/** How the browser's storage does. */
export type StorageState = 'ok' | 'full' | 'volatile' | 'lost' | 'corrupt' | 'blocked'

/** The last thing that went wrong. */
export interface SyncErrorInfo {
  /** For programs. */
  readonly code: string
  /** For people; carries no user data. */
  readonly message: string
  /** When, in ms since 1970. */
  readonly at: number
}

/** How far a sync or a first upload has come, in records. */
export interface SyncProgress {
  readonly done: number
  readonly total: number
}

/** The status of a database's sync. */
export interface SyncStatus {
  /** Auto-sync is on. */
  readonly isEnabled: boolean
  /** The database is known and its engine, in some tab, has read it. */
  readonly isInitialized: boolean
  /** Whose changes are synced. */
  readonly userId: string | null
  /** When the server last confirmed a sync, in ms since 1970; 0 for never. */
  readonly lastSyncTime: number
  /** A sync is to come or runs. */
  readonly hasPendingSync: boolean
  /** Failed attempts in a row. */
  readonly consecutiveFailures: number
  /** Changes that are captured and not yet staged. */
  readonly bufferedEvents: number
  /** A retry is scheduled or runs (Y02). */
  readonly isRetrying: boolean
  readonly phase: Phase
  /** Records with a change that the server has not confirmed. */
  readonly pending: number
  /** Records with a change that waits for another user to sign in. */
  readonly waiting: number
  /** Changes that the server refused or that cannot be sent. */
  readonly held: number
  /** Held changes that another client's change forbids. */
  readonly conflicts: number
  readonly progress: SyncProgress | null
  /** When the next attempt is due, in ms since 1970. */
  readonly nextAttemptAt: number | null
  readonly lastError: SyncErrorInfo | null
  readonly disabledReason: DisabledReason | null
  /** This tab runs the engine. */
  readonly isLeader: boolean
  /** What the browser says of the network. */
  readonly isOnline: boolean
  readonly storage: StorageState
  /** What this browser can do for sync. */
  readonly capabilities: SyncCapabilities
}

/** What a browser can do for sync. */
export interface SyncCapabilities {
  /** Tabs agree on a leader by Web Locks; without them the fence alone decides. */
  readonly locks: boolean
  /** Requests can be compressed. */
  readonly compression: boolean
}

/** The status before anything is known, and on a server: always the same object. */
export const INITIAL_STATUS: SyncStatus = Object.freeze({
  isEnabled: false,
  isInitialized: false,
  userId: null,
  lastSyncTime: 0,
  hasPendingSync: false,
  consecutiveFailures: 0,
  bufferedEvents: 0,
  isRetrying: false,
  phase: 'disabled',
  pending: 0,
  waiting: 0,
  held: 0,
  conflicts: 0,
  progress: null,
  nextAttemptAt: null,
  lastError: null,
  disabledReason: 'not-configured',
  isLeader: false,
  isOnline: true,
  storage: 'ok',
  capabilities: Object.freeze({ locks: false, compression: false }),
})

/** What this browser can do. */
export function capabilities(): SyncCapabilities {
  return {
    locks: navigator.locks !== undefined,
    compression: typeof CompressionStream !== 'undefined',
  }
}

/** A line for people: what the status means for their changes. */
export function describeStatus(status: SyncStatus, now: number = Date.now()): string {
  const waiting = `${count(status.pending, 'change')} waiting`
  switch (status.phase) {
    case 'idle':
      return status.pending > 0 ? waiting : 'Everything is synced'
    case 'buffering':
    case 'waiting':
      return `${waiting}, syncing ${inSeconds(status.nextAttemptAt, now)}`
    case 'syncing':
      return status.pending > 0 ? `Syncing ${count(status.pending, 'change')}…` : 'Syncing…'
    case 'backing-off':
      return `${waiting}, next try ${inSeconds(status.nextAttemptAt, now)}`
    case 'probing':
      return `${waiting}, trying again…`
    case 'offline':
      return status.pending > 0 ? `Offline. ${waiting}` : 'Offline'
    case 'needs-auth':
      return `Sign in to sync. ${waiting}`
    case 'disabled':
      return disabledText(status, now)
    case 'engine-failed':
      return `Sync has stopped. ${waiting}; changes are still recorded`
    case 'storage-failed':
      return "This browser's storage fails; changes may not be kept"
    default:
      return unknownPhase(status.phase)
  }
}

function disabledText(status: SyncStatus, now: number): string {
  const waiting = `${count(status.pending, 'change')} waiting`
  switch (status.disabledReason) {
    case 'failures':
      return `Paused after ${count(status.consecutiveFailures, 'failure')}. ${waiting}, next try ${inSeconds(status.nextAttemptAt, now)}`
    case 'privacy':
      return `Sync is off: the browser asks for privacy. ${waiting}`
    case 'not-configured':
      return 'Sync is not set up'
    case 'user':
    case null:
      return `Sync is off. ${waiting}`
    default:
      return unknownPhase(status.disabledReason)
  }
}

function unknownPhase(phase: never): string {
  return phase
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}

function inSeconds(at: number | null, now: number): string {
  const seconds = at === null ? 0 : Math.ceil((at - now) / 1000)
  return seconds > 0 ? `in ${seconds} s` : 'now'
}
