import { openModule } from '../support/page'
import { expect, test } from '../support/test'

type Fixture = typeof import('./fixtures/capture')

test.use({ entry: 'tests/browser/fixtures/capture.ts' })

test('events tell every committed change, after complete, with the record as it was stored', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const result = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    m.attach(db).user = 'ann'
    const heard: unknown[] = []
    const order: string[] = []
    m.storageEventManager.onAny((event) => {
      order.push('event')
      const { tableName, operation, recordId, record, userId, origin: from } = event
      heard.push([tableName, operation, recordId, record, userId, from, event.record === record])
    })
    await m.inTransaction(db, ['injected', 'unique'], (tx) => {
      const value = { text: 'a' }
      tx.objectStore('injected').add(value).onsuccess = () => order.push('success')
      value.text = 'changed later'
      const unique = tx.objectStore('unique')
      unique.put({ id: 1, name: 'ann' })
      unique.add({ id: 1, name: 'failing' }).onerror = (event) => event.preventDefault()
      unique.put({ id: 2, name: 'x'.repeat(20_000) })
      unique.delete(1)
      unique.clear()
    })
    return { heard, order }
  })
  expect(result).toEqual({
    heard: [
      ['injected', 'create', 1, { text: 'a', meta: { id: 1 } }, 'ann', 'local', true],
      ['unique', 'update', 1, { id: 1, name: 'ann' }, 'ann', 'local', true],
      ['unique', 'update', 2, undefined, 'ann', 'local', true],
      ['unique', 'delete', 1, undefined, 'ann', 'local', true],
      ['unique', 'clear', undefined, undefined, 'ann', 'local', true],
    ],
    order: ['success', ...Array(5).fill('event')],
  })
})

test('a listener that throws or rejects hides the event from nobody, and one that left hears nothing', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const result = await app.evaluate(async (m) => {
    const errors: string[] = []
    const heard: string[] = []
    m.setErrorReporter((error) => errors.push((error as Error).message))
    const events = m.storageEventManager
    events.on('files', () => {
      throw new Error('thrown')
    })
    events.on('files', () => Promise.reject(new Error('rejected')))
    events.on('files', () => leave())
    const leave = events.on('files', () => heard.push('left'))
    events.on('files', () => heard.push('table'))
    events.on('others', () => heard.push('other table'))
    events.onAny(() => heard.push('any'))
    events.emit({ tableName: 'files', operation: 'update', timestamp: 1, origin: 'remote' })
    await Promise.resolve()
    await Promise.resolve()
    m.setErrorReporter()
    return { errors, heard }
  })
  expect(result).toEqual({ errors: ['thrown', 'rejected'], heard: ['table', 'any'] })
})

test('other tabs hear keys and operations; malformed messages are ignored', async ({
  context,
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const second = await context.newPage()
  const other = await openModule<Fixture>(second, origin)
  await app.evaluate((m) => m.openTracked('app'))
  const listening = await other.evaluateHandle(async (m) => {
    await m.openTracked('app')
    const heard: unknown[] = []
    const finished = new Promise<unknown[]>((resolve) => {
      m.storageEventManager.onAny((event) => {
        const { tableName, operation, recordId, record, userId, origin: from } = event
        heard.push([tableName, operation, recordId, record, userId, from])
        if (operation === 'clear') resolve(heard)
      })
    })
    return { finished }
  })
  await app.evaluate(async (m) => {
    const channel = new BroadcastChannel('tidesync:app:events')
    const change = { table: 'inline', operation: 'update', key: 1 }
    for (const message of [
      null,
      'text',
      { v: 2, type: 'changes', changes: [change] },
      { v: 1, type: 'unknown', changes: [change] },
      { v: 1, type: 'changes', changes: {} },
      { v: 1, type: 'changes', changes: [{ ...change, key: Number.NaN }] },
      { v: 1, type: 'changes', changes: [{ ...change, operation: 'drop' }] },
      { v: 1, type: 'changes', changes: [{ ...change, user: 7 }] },
    ]) {
      channel.postMessage(message)
    }
    const listens = new Promise((resolve) => {
      channel.addEventListener('message', resolve, { once: true })
    })
    channel.postMessage({ v: 1, type: 'asking' })
    await listens
    channel.close()
    const db = await m.openTracked('app', false)
    m.attach(db).user = 'ann'
    await m.inTransaction(db, 'outside', (tx) => {
      tx.objectStore('outside').put('secret', ['key', 1])
      tx.objectStore('outside').clear()
    })
  })
  expect(await listening.evaluate(({ finished }) => finished)).toEqual([
    ['outside', 'update', ['key', 1], undefined, 'ann', 'other-tab'],
    ['outside', 'clear', undefined, undefined, 'ann', 'other-tab'],
  ])
})
