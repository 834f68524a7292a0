/** The status in words. */

import type { SyncStatus } from 'tidesync'

/** How good or bad a state is; the style sheet colours it. */
export type Tone = 'good' | 'busy' | 'waiting' | 'ask' | 'bad' | 'off'

const MINUTE_S = 60
const HOUR_S = 3_600

export function toneOf(status: SyncStatus): Tone {
  switch (status.phase) {
    case 'idle':
      return idleTone(status)
    case 'buffering':
    case 'waiting':
    case 'syncing':
    case 'probing':
      return 'busy'
    case 'backing-off':
    case 'offline':
    case 'needs-auth':
      return 'waiting'
    case 'disabled':
      return status.disabledReason === 'failures' ? 'bad' : 'off'
    case 'engine-failed':
    case 'storage-failed':
      return 'bad'
  }
}

function idleTone({ pending, held, conflicts, lastSyncTime }: SyncStatus): Tone {
  if (held > 0) {
    return conflicts === held ? 'ask' : 'bad'
  }
  return pending > 0 || lastSyncTime === 0 ? 'busy' : 'good'
}

/** What a screen reader is told: no numbers that change, and one text while things go well. */
export function announcement(status: SyncStatus): string {
  const { phase, disabledReason } = status
  switch (phase) {
    case 'idle':
      return idleAnnouncement(status)
    case 'buffering':
    case 'waiting':
    case 'syncing':
      return 'Changes are waiting'
    case 'backing-off':
    case 'probing':
      return 'The last sync failed; it is tried again'
    case 'offline':
      return 'Offline; changes are kept'
    case 'needs-auth':
      return 'Sign in to sync'
    case 'disabled':
      return DISABLED[disabledReason ?? 'user']
    case 'engine-failed':
      return 'Sync has stopped; changes are still recorded'
    case 'storage-failed':
      return "This browser's storage fails"
  }
}

function idleAnnouncement({ pending, held, lastSyncTime }: SyncStatus): string {
  if (held > 0) {
    return 'A change needs a decision'
  }
  return pending > 0 || lastSyncTime === 0 ? 'Changes are waiting' : 'Everything is synced'
}

const DISABLED = {
  user: 'Sync is off',
  failures: 'Sync pauses after failures',
  privacy: 'Sync is off',
  // As every page starts, for a moment: nothing to tell yet.
  'not-configured': '',
} as const

export function counted(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`
}

/** `in 4 s`, `in 4:05`; a dash when nothing is due. */
export function until(at: number | null, now: number): string {
  if (at === null) {
    return '–'
  }
  const seconds = Math.ceil((at - now) / 1_000)
  if (seconds <= 0) {
    return 'now'
  }
  const rest = String(seconds % MINUTE_S).padStart(2, '0')
  return seconds < MINUTE_S ? `in ${seconds} s` : `in ${Math.floor(seconds / MINUTE_S)}:${rest}`
}

/** `12 s ago`; `never` for 0. */
export function since(at: number, now: number): string {
  const seconds = Math.floor((now - at) / 1_000)
  if (at === 0) {
    return 'never'
  }
  if (seconds < 2) {
    return 'just now'
  }
  if (seconds < MINUTE_S) {
    return `${seconds} s ago`
  }
  return seconds < HOUR_S
    ? `${Math.floor(seconds / MINUTE_S)} min ago`
    : `${Math.floor(seconds / HOUR_S)} h ago`
}
