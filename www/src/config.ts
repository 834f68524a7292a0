/** What an app tells Tidesync. */

import { TidesyncError } from './error'
import type { StorageEvent } from './events'

/** Why a token is asked for. */
export interface TokenRequest {
  /** `request`: a request needs one, a cached one will do. `expired`: the server refused the last. */
  readonly reason: 'request' | 'expired'
  /** The user whose token it must be. */
  readonly userId: string
}

/** A record that was changed here and, since, elsewhere. */
export interface TableConflict {
  readonly table: string
  /** The record's key. */
  readonly key: IDBValidKey
  /** The server's version of the record that the change here was made on; 0 for none. */
  readonly base: number
  /** The record as it is here; null where it was removed. */
  readonly local: unknown
  /** The record as the server has it; null where it was removed. */
  readonly remote: unknown
}

/** What becomes of a record that was changed here and elsewhere at once. */
export type ConflictStrategy =
  /** Of each field the later change counts, of update and deletion the later one. */
  | 'last-write-wins'
  /** The same for fields; a record that one removes and another changes stays. */
  | 'merge'
  /** What was changed here. */
  | 'client-priority'
  /** What was changed elsewhere. */
  | 'server-priority'
  /** What `resolve` says. */
  | 'custom'
  /** The change is held until the app or its user decides. */
  | 'manual'

/** Options of one table. */
export interface TableOptions {
  /** What becomes of a record that was changed here and elsewhere at once. Default `last-write-wins`. */
  readonly conflict?: ConflictStrategy
  /**
   * For `custom`: gives the record's value, or null to remove it. Where it throws, rejects or gives
   * undefined, the change is held, and it is asked again later, or when the app calls for a sync.
   */
  readonly resolve?: (conflict: TableConflict) => unknown
  /** Fields that hold keys of other tables' records, by name, with the table. */
  readonly references?: Readonly<Record<string, string>>
  /**
   * Whether a whole record that is written with fields as they were before somebody else's change has
   * changed them back. Default `keep-remote`: it has not.
   */
  readonly staleFields?: 'keep-remote' | 'as-written'
  /**
   * The shared space that its records belong to, one that the token grants (docs/protocol.md). Default:
   * the user's own. A database keeps each table's space for good from its first user on: with another
   * one nothing is read or sent, and `lastError.code` is `space-changed`.
   */
  readonly space?: string
}

/** When to sync. Milliseconds; the defaults are those of the documentation (R062–R068, R078). */
export interface TimingOptions {
  /** From the first change until it is sent; later changes do not restart it. Default 2,000. */
  readonly bufferMs?: number
  /** From the end of one sync to the start of the next. Default 5,000. */
  readonly throttleMs?: number
  /** A sync at least this often while a page is visible. Default 60,000. */
  readonly periodicMs?: number
  /** The wait after the first failure. Default 5,000. */
  readonly backoffBaseMs?: number
  /** How much longer each next wait is. Default 2. */
  readonly backoffMultiplier?: number
  /** The longest wait. Default 300,000. */
  readonly backoffMaxMs?: number
  /** Auto-sync pauses after this many consecutive failures. Default 5. */
  readonly failuresMax?: number
  /** How long it pauses before it tries once. Default 300,000. */
  readonly recoveryMs?: number
  /** A request without a full answer is given up after this. Default 30,000. */
  readonly requestTimeoutMs?: number
}

/** What is no reason to sync: such changes travel with the next sync (R069–R072). */
export interface SkipOptions {
  /** Tables. Default `['checkpoints', 'conversationMemories']`; a list replaces it. */
  readonly tables?: readonly string[]
  /** Called for each change in the tab that made it; true means no reason to sync. */
  readonly when?: (event: StorageEvent) => boolean
}

/** How much one request carries. */
export interface BatchOptions {
  /** Most operations. Default and most 1,000. */
  readonly operations?: number
  /** Bytes of JSON after which a request is closed. Default 1 MiB. */
  readonly bytes?: number
}

/** One line for people who look after an app. Carries no user data. */
export type Logger = (level: 'debug' | 'info' | 'warn' | 'error', message: string) => void

/** What `configureCloudSync` and `createCloudSync` take. */
export interface CloudSyncOptions {
  /** The server's address; `/api/sync/push` is appended. Absolute, or relative to the page. */
  readonly url: string
  /**
   * The bearer token of `userId`, or null when nobody is signed in (then syncing waits, and nothing
   * is lost). A rejection counts as a failed attempt and is tried again.
   */
  readonly getToken: (request: TokenRequest) => string | null | Promise<string | null>
  /** The tables that `installTidesync` tracks where it is not told. Default: all object stores. */
  readonly tables?: Readonly<Record<string, TableOptions>>
  /** Whether other devices' changes are asked for as soon as the server has them. Default true. */
  readonly live?: boolean
  /** Whether rows that were there before attaching are uploaded. Default `upload`. */
  readonly initial?: 'upload' | 'ignore'
  /** Whether what was written before anyone signed in becomes the first user's. Default false. */
  readonly adoptAnonymous?: boolean
  /** Whether auto-sync is on, by the user's settings (R094). Default: as it was set last, else on. */
  readonly enabled?: boolean
  readonly timing?: TimingOptions
  readonly skip?: SkipOptions
  readonly batch?: BatchOptions
  /** `auto` (default) compresses requests except to this machine. */
  readonly compression?: 'auto' | 'always' | 'never'
  /** Where the WebAssembly module is fetched. Default: beside the package's script. */
  readonly wasmUrl?: string | URL
  /** Default: the console, from `info` up. */
  readonly logger?: Logger
  /** `all` turns auto-sync off where the browser signals GPC or DNT. Default `telemetry`. */
  readonly respectPrivacySignals?: 'telemetry' | 'all'
  /** Asks before the page is closed while changes wait. Default false. */
  readonly warnBeforeUnload?: boolean
}

const LIMITS: Readonly<Record<string, readonly [number, number]>> = {
  bufferMs: [0, 3_600_000],
  throttleMs: [0, 3_600_000],
  periodicMs: [1, 86_400_000],
  backoffBaseMs: [1, 3_600_000],
  backoffMultiplier: [1, 10],
  backoffMaxMs: [1, 86_400_000],
  failuresMax: [1, 1_000],
  recoveryMs: [1, 86_400_000],
  requestTimeoutMs: [1, 600_000],
  operations: [1, 1_000],
  bytes: [1, 8 * 1024 * 1024],
}

/** Refuses options that cannot work, with the option's name and what is allowed. */
export function checkOptions(options: CloudSyncOptions): void {
  if (typeof options.url !== 'string' || options.url === '') {
    throw invalid('url', 'the address of your sync server')
  }
  if (typeof options.getToken !== 'function') {
    throw invalid('getToken', 'a function that gives a bearer token or null')
  }
  for (const group of [options.timing, options.batch]) {
    for (const [name, value] of Object.entries(group ?? {})) {
      checkNumber(name, value)
    }
  }
  for (const [table, tableOptions] of Object.entries(options.tables ?? {})) {
    checkTable(table, tableOptions)
  }
}

const STRATEGIES: readonly unknown[] = [
  'last-write-wins',
  'merge',
  'client-priority',
  'server-priority',
  'custom',
  'manual',
] satisfies ConflictStrategy[]

function checkTable(table: string, options: TableOptions): void {
  const { conflict, resolve, references, staleFields, space } = options
  const name = (option: string) => `tables.${table}.${option}`
  if (conflict !== undefined && !STRATEGIES.includes(conflict)) {
    throw invalid(name('conflict'), `one of ${STRATEGIES.join(', ')}`)
  }
  if ((conflict === 'custom' || resolve !== undefined) && typeof resolve !== 'function') {
    throw invalid(name('resolve'), 'a function that gives the outcome of a conflict')
  }
  if (!Object.values(references ?? {}).every((target) => typeof target === 'string')) {
    throw invalid(name('references'), 'the names of fields, each with the name of a table')
  }
  if (staleFields !== undefined && !['keep-remote', 'as-written'].includes(staleFields)) {
    throw invalid(name('staleFields'), 'keep-remote or as-written')
  }
  // A lone surrogate would be another name on its way.
  const isName = typeof space === 'string' && !/^$|^~|\p{Surrogate}/u.test(space)
  if (space !== undefined && !(isName && new Blob([space]).size <= 256)) {
    throw invalid(name('space'), '1 to 256 bytes without ~ in front')
  }
}

function checkNumber(name: string, value: unknown): void {
  const limits = LIMITS[name]
  if (limits === undefined) {
    throw invalid(name, `one of ${Object.keys(LIMITS).join(', ')}`)
  }
  const [least, most] = limits
  const isAllowed = Number.isInteger(value) && least <= Number(value) && Number(value) <= most
  if (value !== undefined && !isAllowed) {
    throw invalid(name, `a whole number from ${least} to ${most}`)
  }
}

function invalid(name: string, allowed: string): TidesyncError {
  return new TidesyncError('invalid-option', `Tidesync: option "${name}" must be ${allowed}.`)
}

/** Whether auto-sync is off because the browser signals that the user wants privacy (SEC21). */
export function privacyForbids(options: CloudSyncOptions): boolean {
  const signals = navigator as { globalPrivacyControl?: boolean; doNotTrack?: string | null }
  const signalled = signals.globalPrivacyControl === true || signals.doNotTrack === '1'
  return signalled && options.respectPrivacySignals === 'all'
}

/** Whether requests to `url` are compressed: to this machine it costs more than it saves. */
export function compresses(options: CloudSyncOptions): boolean {
  if (options.compression === 'always' || options.compression === 'never') {
    return options.compression === 'always'
  }
  const { hostname } = new URL(options.url, globalThis.location?.href)
  return !['localhost', '127.0.0.1', '[::1]'].includes(hostname)
}

/** The engine's configuration, with 256 random bits for its seed. */
export function engineConfig(options: CloudSyncOptions): string {
  const seed = Array.from(crypto.getRandomValues(new Uint8Array(32)))
  return JSON.stringify({
    seed,
    ...options.timing,
    ...(options.skip?.tables && { skipTables: options.skip.tables }),
    ...(options.batch?.operations && { batchOpsMax: options.batch.operations }),
    ...(options.batch?.bytes && { batchBytesMax: options.batch.bytes }),
    ...(options.initial && { initial: options.initial }),
    ...(options.adoptAnonymous !== undefined && { adoptAnonymous: options.adoptAnonymous }),
    ...(options.live !== undefined && { live: options.live }),
    ...tablesConfig(options),
  })
}

/** What the engine needs to know of tables, where it is told anything of them. */
function tablesConfig({ tables }: CloudSyncOptions): { tables?: object } {
  const told = Object.entries(tables ?? {}).flatMap(([name, options]) => {
    const { resolve: _, ...config } = options
    return Object.values(config).some((value) => value !== undefined) ? [[name, config]] : []
  })
  return told.length > 0 ? { tables: Object.fromEntries(told) } : {}
}
