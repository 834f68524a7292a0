/** Tidesync: cloud sync for the IndexedDB an app already has. */

export type { InstallOptions } from './capture'
export { uninstallTidesync } from './capture'
export type {
  BatchOptions,
  CloudSyncOptions,
  ConflictStrategy,
  Logger,
  SkipOptions,
  TableConflict,
  TableOptions,
  TimingOptions,
  TokenRequest,
} from './config'
export { TidesyncError } from './error'
export type { StorageEvent } from './events'
export { storageEventManager } from './events'
export type { ResolvedConflict, ResolvedField } from './history'
export type { IssueResolution, SyncIssue } from './issues'
export type {
  RecordOutcome,
  RecordState,
  RecordSync,
  RecordSyncSnapshot,
} from './record-sync'
export {
  attach,
  configureCloudSync,
  forceSync,
  getAutoSyncStatus,
  initAutoSync,
  installTidesync,
  listSyncHistory,
  listSyncIssues,
  recordSync,
  resolveSyncIssue,
  restore,
  setAutoSyncEnabled,
  stopAutoSync,
  subscribe,
  triggerBackup,
} from './service'
export type {
  DisabledReason,
  Phase,
  StorageState,
  SyncCapabilities,
  SyncErrorInfo,
  SyncProgress,
  SyncStatus,
} from './status'
export { describeStatus } from './status'
export { StorageManager } from './storage-manager'
export type { CloudSync } from './sync'
export { createCloudSync } from './sync'
