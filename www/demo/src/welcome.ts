/** The notes that a new user finds: made once, by the laptop, when the server has none. */

import { getAutoSyncStatus, subscribe } from 'tidesync'
import { saveFirstNotes } from './database'
import type { Device } from './devices'
import { reportProblem } from './problem'
import { firstNotes } from './records'

/** Waits for the first sync: only then is it known that the user has no notes. */
export function welcome(database: IDBDatabase, device: Device): void {
  const key = `welcomed:${database.name}`
  if (device.id !== 'laptop' || localStorage.getItem(key) !== null) {
    return
  }
  const save = async () => {
    await saveFirstNotes(database, firstNotes())
    localStorage.setItem(key, 'yes')
  }
  const forget = subscribe(() => {
    const { phase, lastSyncTime } = getAutoSyncStatus()
    if (phase === 'idle' && lastSyncTime > 0) {
      forget()
      save().catch(reportProblem)
    }
  })
}
