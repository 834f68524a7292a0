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
  /** To the server, or from it. */
  readonly direction: 'upload' | 'download'
  readonly done: number
  readonly total: number
}

/** The status of a database's sync. */
export interface SyncStatus {
  /** Auto-sync is on. */
  readonly isEnabled: boolean
  /** Some tab has read the database with all that waits in it: from then on the counts are exact. */
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
  const line = [waitingText(status), headline(status, now)].filter((text) => text !== '').join(', ')
  return line.charAt(0).toUpperCase() + line.slice(1)
}

function headline(status: SyncStatus, now: number): string {
  switch (status.phase) {
    case 'idle':
      return idleText(status)
    case 'buffering':
    case 'waiting':
      return `syncing ${inTime(status.nextAttemptAt, now)}`
    case 'syncing':
      return 'syncing…'
    case 'backing-off':
      return `next try ${inTime(status.nextAttemptAt, now)}`
    case 'probing':
      return 'trying again…'
    case 'offline':
      return 'offline'
    case 'needs-auth':
      return 'sign in to sync'
    case 'disabled':
      return disabledText(status, now)
    case 'engine-failed':
      return 'sync has stopped, changes are still recorded'
    case 'storage-failed':
      return "this browser's storage fails, changes may not be kept"
    default:
      return unknownPhase(status.phase)
  }
}

/** Only a server's word makes something synced. */
function idleText(status: SyncStatus): string {
  if (!status.isInitialized) {
    return 'starting…'
  }
  if (status.pending > 0 || status.waiting > 0 || status.held > 0) {
    return ''
  }
  return status.lastSyncTime === 0 ? 'nothing synced yet' : 'everything is synced'
}

function disabledText(status: SyncStatus, now: number): string {
  switch (status.disabledReason) {
    case 'failures':
      return `paused after ${count(status.consecutiveFailures, 'failure')}, next try ${inTime(status.nextAttemptAt, now)}`
    case 'privacy':
      return 'sync is off: the browser asks for privacy'
    case 'not-configured':
      return 'sync is not set up'
    case 'user':
    case null:
      return 'sync is off'
    default:
      return unknownPhase(status.disabledReason)
  }
}

/** What is not synced, and why where that is known. */
function waitingText({ pending, waiting, held, conflicts }: SyncStatus): string {
  const refused = held - conflicts
  return [
    pending > 0 ? `${count(pending, 'change')} waiting` : '',
    waiting > 0 ? `${count(waiting, 'change')} of another user` : '',
    conflicts > 0 ? `${count(conflicts, 'conflict')} to settle` : '',
    refused > 0 ? `${count(refused, 'change')} held` : '',
  ]
    .filter((text) => text !== '')
    .join(', ')
}

function unknownPhase(phase: never): string {
  return phase
}

function count(number: number, noun: string): string {
  return `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`
}

function inTime(at: number | null, now: number): string {
  const seconds = at === null ? 0 : Math.ceil((at - now) / 1000)
  if (seconds <= 0) {
    return 'now'
  }
  return seconds < 100 ? `in ${seconds} s` : `in ${Math.round(seconds / 60)} min`
}
