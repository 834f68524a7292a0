import { describe, expect, it } from 'vitest'
import { describeStatus, INITIAL_STATUS, type SyncStatus } from '../status'
import { StatusStore } from '../status-store'

function line(change: Partial<SyncStatus>): string {
  const status = { ...INITIAL_STATUS, isInitialized: true, disabledReason: null, lastSyncTime: 1 }
  return describeStatus({ ...status, ...change }, 1_000_000)
}

describe('the line for people', () => {
  it('says what waits and when the next try is', () => {
    const next = { nextAttemptAt: 1_020_000 }
    expect(line({ phase: 'backing-off', pending: 3, ...next })).toBe(
      '3 changes waiting, next try in 20 s',
    )
    expect(line({ phase: 'buffering', pending: 1, ...next })).toBe(
      '1 change waiting, syncing in 20 s',
    )
    expect(line({ phase: 'waiting', pending: 1_000, nextAttemptAt: 1_300_000 })).toBe(
      '1,000 changes waiting, syncing in 5 min',
    )
    expect(line({ phase: 'idle', held: 1 })).toBe('1 change held')
    expect(line({ phase: 'idle', held: 3, conflicts: 1 })).toBe(
      '1 conflict to settle, 2 changes held',
    )
    expect(line({ phase: 'disabled', disabledReason: 'user', pending: 2 })).toBe(
      '2 changes waiting, sync is off',
    )
  })

  it('says that everything is synced only when the server has said so', () => {
    expect(line({ phase: 'idle' })).toBe('Everything is synced')
    expect(line({ phase: 'idle', isInitialized: false })).toBe('Starting…')
    expect(line({ phase: 'idle', lastSyncTime: 0 })).toBe('Nothing synced yet')
  })

  it('never says that a change is synced while one waits', () => {
    const phases: SyncStatus['phase'][] = ['idle', 'offline', 'needs-auth', 'engine-failed']
    for (const phase of phases) {
      expect(line({ phase, pending: 2 })).toContain('2 changes waiting')
    }
  })
})

describe('the status store', () => {
  it('keeps the same object until something changes, and tells once', () => {
    const store = new StatusStore()
    let told = 0
    const forget = store.subscribe(() => {
      told += 1
    })
    const before = store.getStatus()
    store.update({ pending: 0, progress: null })
    expect(store.getStatus()).toBe(before)
    store.update({ pending: 1, progress: { direction: 'upload', done: 0, total: 2 } })
    store.update({ progress: { direction: 'upload', done: 0, total: 2 } })
    expect(told).toBe(1)
    expect(store.getStatus()).toMatchObject({
      pending: 1,
      progress: { direction: 'upload', done: 0, total: 2 },
    })
    forget()
    store.update({ pending: 2 })
    expect(told).toBe(1)
  })

  it('tells nobody who has left while the others are told', () => {
    const store = new StatusStore()
    const heard: string[] = []
    const forget: (() => void)[] = []
    store.subscribe(() => {
      heard.push('first')
      forget[0]?.()
    })
    forget.push(store.subscribe(() => heard.push('second')))
    store.update({ pending: 1 })
    expect(heard).toEqual(['first'])
  })
})
