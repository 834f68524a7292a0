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
export type { HeldChange } from './held'
export {
  attach,
  configureCloudSync,
  forceSync,
  getAutoSyncStatus,
  initAutoSync,
  installTidesync,
  listHeld,
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
