/**
 * The whole package with its WebAssembly in the script, for bundlers that copy no assets and for
 * pages that may not fetch it. Larger, and compiled from text; otherwise the same.
 */

import { base64 } from '../pkg/inline.js'
import type { CloudSyncOptions } from './config'
import { setService } from './service'
import { type CloudSync, createCloudSyncFrom } from './sync'

export * from './index'

/** As `configureCloudSync` of the package, with the engine in the script. */
export function configureCloudSync(options: CloudSyncOptions): void {
  setService(createCloudSync(options), options)
}

/** As `createCloudSync` of the package, with the engine in the script. */
export function createCloudSync(options: CloudSyncOptions): CloudSync {
  return createCloudSyncFrom(options, () => options.wasmUrl ?? moduleBytes())
}

function moduleBytes(): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))
}
