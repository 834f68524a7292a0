/** Capture: every change to a tracked table is logged in the transaction that makes it. */

export type { Attachment, CloseReason } from './attach'
export { attach, onClose } from './attach'
export type { Change, CommittedChanges } from './commits'
export { onCommit } from './commits'
export type { InstallOptions } from './install'
export { installTidesync, uninstallTidesync } from './install'
