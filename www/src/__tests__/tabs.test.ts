import { expect, it } from 'vitest'
import { type TabMessage, Tabs } from '../tabs'

const HINT = { table: 'notes', user: 'owner', lids: ['sa'], trigger: true }
const NAME = { table: 'notes', lid: 'sa' }
const CALL = { type: 'call', id: 'c', user: null }

const MALFORMED: readonly unknown[] = [
  null,
  'leading',
  {},
  { type: 'other' },
  { type: 'toString' },
  { type: 'hello', tab: 't', visible: true },
  { type: 'hello', tab: 't', visible: true, user: 5 },
  { type: 'user' },
  { type: 'status', status: null },
  { type: 'captured', tab: 't', captures: 1, hints: {} },
  { type: 'captured', tab: 't', captures: 1, hints: [null] },
  { type: 'captured', tab: 't', captures: 1, hints: [{ ...HINT, lids: [1] }] },
  { type: 'captured', tab: 't', captures: 1, hints: [{ ...HINT, user: {} }] },
  { type: 'captured', hints: [HINT] },
  { type: 'watch', tab: 't', captures: 0, records: [null] },
  { type: 'watch', tab: 't', captures: 0, records: [{ table: 'notes', lid: 1 }] },
  { type: 'watch', tab: 't', captures: '0', records: [] },
  { type: 'records', news: null },
  { type: 'records', news: { states: [{ ...NAME, state: 'unknown' }], heard: {} } },
  { type: 'records', news: { states: [], heard: { t: 'one' } } },
  { type: 'records', news: { states: [], heard: null } },
  { ...CALL, request: null },
  { ...CALL, user: 1, request: { type: 'restore' } },
  { ...CALL, request: { type: 'wipe' } },
  { ...CALL, request: { type: 'settleHeld', op: 'o' } },
  { ...CALL, request: { type: 'settleHeld', op: 1, choice: { take: 'local' } } },
  { ...CALL, request: { type: 'settleHeld', op: 'o', choice: { take: 'value' } } },
]

const GOOD: readonly TabMessage[] = [
  { type: 'hello', tab: 't', visible: true, user: null },
  { type: 'captured', tab: 't', captures: 1, hints: [{ ...HINT, user: { user: 'ann' } }] },
  { type: 'watch', tab: 't', captures: 0, records: [NAME] },
  { type: 'records', news: { states: [{ ...NAME, state: undefined }], heard: { t: 1 } } },
  { type: 'call', id: 'c', user: null, request: { type: 'restore' } },
  {
    type: 'call',
    id: 'c',
    user: 'ann',
    request: { type: 'settleHeld', op: 'o', choice: { take: 'value', value: null } },
  },
]

it('only messages of their form are heard (SEC17)', async () => {
  const heard: TabMessage[] = []
  let done: () => void = () => undefined
  const all = new Promise<void>((resolve) => {
    done = resolve
  })
  const tabs = new Tabs('app', (message) => {
    heard.push(message)
    if (heard.length >= GOOD.length) done()
  })
  const other = new BroadcastChannel('tidesync:app:tabs')
  for (const message of [...MALFORMED, ...GOOD]) other.postMessage(message)
  await all
  expect(heard).toEqual(GOOD)
  tabs.close()
  other.close()
})
