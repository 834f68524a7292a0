import { openModule } from '../support/page'
import { expect, test } from '../support/test'

type Fixture = typeof import('./fixtures/capture')

test.use({ entry: 'tests/browser/fixtures/capture.ts' })

test('every method writes through capture and settles with its transaction (R060)', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const result = await app.evaluate(async (m) => {
    const db = await m.openTracked('app', false)
    const manager = new m.StorageManager<{
      inline: { id: number; text?: string }
      generated: string
      outside: number
    }>(db)
    const heard: unknown[] = []
    m.storageEventManager.onAny(({ tableName, operation, recordId }) => {
      heard.push([tableName, operation, recordId])
    })
    const results: unknown[] = [
      await manager.create('inline', { id: 1 }),
      await manager.create('generated', 'text'),
      await manager.create('outside', 5, 'five'),
      await manager.update('inline', 1, { text: 'a' }),
      await manager.update('inline', 1, (old) => ({ ...old, text: `${old.text}b` })),
      await manager.update('outside', 'five', (old) => old + 1),
      await manager.get('inline', 1),
      await manager.get('inline', 9),
      await manager.bulkPut('inline', [{ id: 2 }, { id: 3 }]),
      await manager.bulkPut('outside', [1, 2], ['one', 'two']),
      await manager.getAll('inline', IDBKeyRange.lowerBound(2), 1),
      await manager.bulkDelete('inline', [1, 2]),
      await manager.delete('inline', 3),
      await manager.clear('outside'),
      await manager.getAll('inline'),
    ]
    return { results, heard, logged: (await m.readOperations(db, 'inline')).length }
  })
  expect(result).toEqual({
    results: [
      1,
      1,
      'five',
      { id: 1, text: 'a' },
      { id: 1, text: 'ab' },
      6,
      { id: 1, text: 'ab' },
      undefined,
      undefined,
      undefined,
      [{ id: 2 }],
      undefined,
      undefined,
      undefined,
      [],
    ],
    heard: [
      ['inline', 'create', 1],
      ['generated', 'create', 1],
      ['outside', 'create', 'five'],
      ['inline', 'update', 1],
      ['inline', 'update', 1],
      ['outside', 'update', 'five'],
      ['inline', 'update', 2],
      ['inline', 'update', 3],
      ['outside', 'update', 'one'],
      ['outside', 'update', 'two'],
      ['inline', 'delete', 1],
      ['inline', 'delete', 2],
      ['inline', 'delete', 3],
      ['outside', 'clear', undefined],
    ],
    logged: 8,
  })
})

test('failures are typed, and leave nothing behind', async ({ page, origin }) => {
  const app = await openModule<Fixture>(page, origin)
  const result = await app.evaluate(async (m) => {
    const db = await m.openTracked('app', false)
    const manager = new m.StorageManager(db)
    await manager.create('inline', { id: 1 })
    const codeOf = async (work: Promise<unknown>): Promise<string> => {
      try {
        await work
        return 'no failure'
      } catch (error) {
        return (error as InstanceType<typeof m.TidesyncError>).code ?? String(error)
      }
    }
    const codes = [
      await codeOf(manager.create('inline', { id: 1 })),
      await codeOf(manager.update('inline', 9, {})),
      await codeOf(manager.create('inline', {})),
      await codeOf(manager.create('inline', { id: 2, f: () => 1 })),
      await codeOf(manager.bulkPut('inline', [{ id: 3 }, {}])),
      await codeOf(manager.get('nowhere', 1)),
      await codeOf(
        manager.update('inline', 1, () => {
          throw new Error('of the caller')
        }),
      ),
    ]
    const keys = await m.done(db.transaction('inline').objectStore('inline').getAllKeys())
    const logged = (await m.readOperations(db, 'inline')).length
    db.close()
    codes.push(await codeOf(manager.get('inline', 1)))
    return { codes, keys, logged }
  })
  expect(result).toEqual({
    codes: [
      'already-exists',
      'not-found',
      'invalid-record',
      'invalid-record',
      'invalid-record',
      'unknown-table',
      'Error: of the caller',
      'storage-closed',
    ],
    keys: [1],
    logged: 1,
  })
})

test('an update that changes the key inside the record is refused and changes nothing', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const result = await app.evaluate(async (m) => {
    const db = await m.openTracked('app', false)
    const manager = new m.StorageManager<{
      inline: { id?: number; text?: string }
      compound: { a: number; b: { c: string }; text?: string }
      injected: { meta?: { id: number }; text: string }
    }>(db)
    const codeOf = (work: Promise<unknown>): Promise<string> =>
      work.then(
        () => 'no failure',
        (error: InstanceType<typeof m.TidesyncError>) => error.code,
      )
    await manager.create('inline', { id: 1 })
    await manager.create('compound', { a: 1, b: { c: 'x' } })
    const key = await manager.create('injected', { text: 'a' })
    const codes = [
      await codeOf(manager.update('inline', 1, { id: 2, text: 'moved' })),
      await codeOf(manager.update('inline', 1, () => ({}))),
      await codeOf(manager.update('inline', 1, () => ({ text: 'no key' }))),
      await codeOf(manager.update('compound', [1, 'x'], { b: { c: 'y' } })),
      await codeOf(manager.update('injected', key, () => ({ text: 'no key' }))),
      await codeOf(manager.update('inline', 1, { id: 1, text: 'same key' })),
      await codeOf(manager.update('compound', [1, 'x'], { b: { c: 'x' }, text: 'same key' })),
      await codeOf(manager.update('injected', key, { text: 'same key' })),
    ]
    const records = await Promise.all([
      manager.getAll('inline'),
      manager.getAll('compound'),
      manager.getAll('injected'),
    ])
    return { codes, records, logged: (await m.readOperations(db, 'injected')).length }
  })
  expect(result).toEqual({
    codes: [
      'key-changed',
      'invalid-record',
      'invalid-record',
      'key-changed',
      'key-changed',
      'no failure',
      'no failure',
      'no failure',
    ],
    records: [
      [{ id: 1, text: 'same key' }],
      [{ a: 1, b: { c: 'x' }, text: 'same key' }],
      [{ meta: { id: 1 }, text: 'same key' }],
    ],
    logged: 2,
  })
})
