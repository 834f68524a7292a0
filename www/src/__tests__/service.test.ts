import { expect, it } from 'vitest'
import { recordSync, setService } from '../service'
import type { CloudSync } from '../sync'

/** An instance that has synced every record. */
const SYNCED = {
  subscribe: () => () => undefined,
  recordSync: () => ({
    subscribe: () => () => undefined,
    getSnapshot: () => ({ state: 'synced', settled: Promise.resolve({ ok: true }) }),
  }),
} as unknown as CloudSync

it('tells of a record once it is configured who asked for the word of its server before', async () => {
  const record = recordSync('notes', 'a')
  const before = record.getSnapshot()
  expect(before.state).toBe('unknown')
  expect(record.getSnapshot()).toBe(before)
  const { settled } = before
  setService(SYNCED, { url: 'https://a.example', getToken: () => null })
  expect(await settled).toEqual({ ok: true })
  expect(record.getSnapshot().state).toBe('synced')
})
