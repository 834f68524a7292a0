/** Committed changes as the engine hears of them: hints for its schedule and its counts. */

import type { Change } from './capture'
import type { CloudSyncOptions } from './config'
import { report } from './error'
import { toStorageEvent } from './events'
import { keyText } from './key'
import { rowUser } from './shell/slots'
import type { CapturedHint } from './tabs'

/** The changes by table and user. */
export function toHints(changes: readonly Change[], options: CloudSyncOptions): CapturedHint[] {
  const groups = new Map<string, CapturedHint & { lids: string[]; trigger: boolean }>()
  for (const change of changes) {
    const { table } = change
    const user = rowUser(change.user)
    const name = JSON.stringify([user, table])
    const group = groups.get(name) ?? { table, user, lids: [], trigger: false }
    groups.set(name, group)
    const lid = lidOf(change)
    if (lid !== undefined) group.lids.push(lid)
    group.trigger ||= !isSkipped(change, options)
  }
  return [...groups.values()]
}

function isSkipped(change: Change, options: CloudSyncOptions): boolean {
  try {
    return options.skip?.when?.(toStorageEvent(change)) === true
  } catch (error) {
    report(error)
    return false
  }
}

/** Undefined for a key that has no text: nothing is sent of it. */
function lidOf({ lid, key }: Change): string | undefined {
  return lid ?? (key === undefined ? '' : keyText(key))
}
