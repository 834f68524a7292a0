import { beforeEach, describe, expect, it } from 'vitest'
import { RecordDesk } from '../record-desk'
import { type RecordState, RecordWatches, type ToldState } from '../record-sync'
import type { RecordName } from '../shell/interface'
import type { CapturedHint } from '../tabs'

const NOTE: RecordName = { table: 'notes', lid: 'sa' }
const hint = (...lids: string[]): CapturedHint[] => [
  { table: 'notes', user: 'owner', lids, trigger: true },
]

/** One tab's records, of which another tab's desk is told. */
class Follower {
  watching: readonly RecordName[] = []
  readonly records = new RecordWatches({
    watching: (names) => {
      this.watching = names
    },
    ask: () => undefined,
    heldCode: () => Promise.resolve('too-large'),
  })
}

let tab: Follower
let desk: RecordDesk
let engine: Map<string, ToldState['state']>

beforeEach(() => {
  tab = new Follower()
  desk = new RecordDesk()
  engine = new Map([['sa', 'synced']])
})

function news() {
  return desk.news((names) => names.map(({ lid }) => engine.get(lid)))
}

function tell(): void {
  const told = news()
  if (told !== undefined) tab.records.told(told.states, told.heard.tab ?? 0)
}

async function watched(): Promise<void> {
  await Promise.resolve()
  desk.watched('tab', tab.watching, tab.records.captures)
  tell()
}

describe('a record in a tab that does not lead', () => {
  it('is not known, then what the leader says, with one snapshot for each state', async () => {
    const record = tab.records.recordSync(NOTE)
    let calls = 0
    const leave = record.subscribe(() => {
      calls += 1
    })
    const unknown = record.getSnapshot()
    expect(unknown.state).toBe('unknown')
    expect(record.getSnapshot()).toBe(unknown)
    await watched()
    const synced = record.getSnapshot()
    expect(synced.state).toBe('synced')
    tell()
    expect(record.getSnapshot()).toBe(synced)
    expect(calls).toBe(1)
    leave()
    engine.set('sa', 'staged')
    tell()
    expect(calls).toBe(1)
  })

  it('is pending from its capture on, also when older news come after it', async () => {
    const record = tab.records.recordSync(NOTE)
    const states: RecordState[] = []
    record.subscribe(() => states.push(record.getSnapshot().state))
    engine.set('sa', 'staged')
    await watched()
    engine.set('sa', 'synced')
    const older = news()
    tab.records.captured(hint('sa'))
    tab.records.told(older?.states ?? [], older?.heard.tab ?? 0)
    expect(record.getSnapshot().state).toBe('pending')
    engine.set('sa', 'synced')
    desk.captured('tab', hint('sa'), tab.records.captures)
    tell()
    expect(states).toEqual(['staged', 'pending', 'synced'])
  })

  it('is pending while the leader does not know the log yet', async () => {
    const record = tab.records.recordSync(NOTE)
    record.subscribe(() => undefined)
    engine.clear()
    await watched()
    tab.records.captured(hint(''))
    desk.captured('tab', hint(''), tab.records.captures)
    tell()
    expect(record.getSnapshot().state).toBe('pending')
    engine.set('sa', 'pending')
    tell()
    engine.set('sa', 'synced')
    tell()
    expect(record.getSnapshot().state).toBe('synced')
  })

  it('settles once, with the code of what is held', async () => {
    const record = tab.records.recordSync(NOTE)
    engine.set('sa', 'pending')
    const { settled } = record.getSnapshot()
    await watched()
    engine.set('sa', 'held')
    tell()
    expect(await settled).toEqual({ ok: false, code: 'too-large' })
    engine.set('sa', 'synced')
    tell()
    const later = record.getSnapshot().settled
    await watched()
    expect(await later).toEqual({ ok: true })
  })

  it('tells who waits that nobody syncs any more', async () => {
    const { settled } = tab.records.recordSync(NOTE).getSnapshot()
    tab.records.dispose()
    expect(await settled).toEqual({ ok: false, code: 'disposed' })
  })

  it('leaves nothing behind', async () => {
    for (let n = 0; n < 1_000; n++) {
      const leave = tab.records.recordSync(NOTE).subscribe(() => undefined)
      tab.records.recordSync({ table: 'notes', lid: `n${n}` }).subscribe(() => undefined)()
      leave()
    }
    expect(tab.records.names).toEqual([])
    await watched()
    expect(news()).toBeUndefined()
  })
})

describe('the desk of the leading tab', () => {
  it('tells changes, and to a tab that asks also what others know', () => {
    desk.watched('one', [NOTE], 0)
    expect(news()?.states).toEqual([{ ...NOTE, state: 'synced' }])
    expect(news()).toBeUndefined()
    desk.watched('two', [NOTE], 3)
    expect(news()).toEqual({ states: [{ ...NOTE, state: 'synced' }], heard: { one: 0, two: 3 } })
    desk.watched('one', [], 0)
    desk.watched('two', [], 3)
    engine.set('sa', 'held')
    expect(news()).toBeUndefined()
  })
})
