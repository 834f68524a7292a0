import { openModule } from '../support/page'
import { expect, test } from '../support/test'

type Fixture = typeof import('./fixtures/capture')

test.use({ entry: 'tests/browser/fixtures/capture.ts' })

test('nothing is patched before the first attach, nor after the last detach', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const result = await app.evaluate(async (m) => {
    const shape = (): unknown[] =>
      [IDBDatabase, IDBTransaction, IDBObjectStore, IDBIndex, IDBCursor].flatMap(({ prototype }) =>
        Object.values(Object.getOwnPropertyDescriptors(prototype)).flatMap((property) => [
          property.get,
          property.value,
        ]),
      )
    const original = shape()
    const isOriginal = (): boolean => shape().every((part, index) => part === original[index])
    const states: boolean[] = [isOriginal()]
    const db = await m.openTracked('app', false)
    states.push(isOriginal())
    const first = m.attach(db)
    const other = await m.openTracked('other')
    states.push(isOriginal())
    first.detach()
    states.push(isOriginal())
    other.close()
    states.push(isOriginal())
    await m.inTransaction(db, 'inline', (tx) => tx.objectStore('inline').put({ id: 1 }))
    return { states, rows: (await m.readLog(db, 'inline')).length }
  })
  expect(result).toEqual({ states: [true, true, false, false, true], rows: 0 })
})

test('a transaction that began before detach or close is captured to its end', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const operations = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    await m.inTransaction(db, 'inline', (tx) => {
      const store = tx.objectStore('inline')
      store.put({ id: 1 }).onsuccess = () => store.put({ id: 2 })
      db.close()
    })
    const again = await m.openTracked('app', false)
    return m.readOperations(again, 'inline')
  })
  expect(operations.map(({ key }) => key)).toEqual([1, 2])
})

test('attach without our stores throws a typed error and changes nothing', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const result = await app.evaluate(async (m) => {
    const db = await m.openDatabase('plain', 1, m.createStores)
    const before = IDBObjectStore.prototype.put
    try {
      m.attach(db)
    } catch (error) {
      const { code, message } = error as InstanceType<typeof m.TidesyncError>
      return { code, message, same: before === IDBObjectStore.prototype.put }
    }
    return undefined
  })
  expect(result).toEqual({
    code: 'not-installed',
    message: expect.stringContaining('installTidesync(db, transaction)'),
    same: true,
  })
})

test('our stores are hidden from the names of attached databases and their transactions', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const result = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    const names = db.objectStoreNames
    const all = db.transaction(names, 'readwrite', { durability: 'strict' })
    const one = db.transaction('inline', 'readwrite').objectStoreNames
    return {
      names: Array.from(names),
      length: names.length,
      first: [names[0], names.item(0), names.item(7), names[7]],
      contains: [names.contains('inline'), names.contains('tidesync.meta')],
      isList: names instanceof DOMStringList,
      type: Object.prototype.toString.call(names),
      keys: Object.keys(names),
      all: Array.from(all.objectStoreNames),
      durability: all.durability,
      one: [one.length, one[0], one[1]],
      readonly: Array.from(db.transaction('inline').objectStoreNames),
    }
  })
  const names = ['compound', 'generated', 'injected', 'inline', 'outside', 'unique', 'untracked']
  expect(result).toEqual({
    names,
    length: 7,
    first: ['compound', 'compound', null, undefined],
    contains: [true, false],
    isList: true,
    type: '[object DOMStringList]',
    keys: ['0', '1', '2', '3', '4', '5', '6'],
    all: names,
    durability: 'strict',
    one: [1, 'inline', undefined],
    readonly: ['inline'],
  })
})

test('the errors of the browser come out unchanged', async ({ page, origin }) => {
  const app = await openModule<Fixture>(page, origin)
  const [plain, captured] = await app.evaluate(async (m) => {
    const errorsOf = async (db: IDBDatabase): Promise<string[]> => {
      const errors: string[] = []
      const attempt = (work: () => unknown): void => {
        try {
          work()
        } catch (error) {
          errors.push(String(error))
        }
      }
      const loose = db as unknown as Record<string, (...args: unknown[]) => unknown>
      attempt(() => loose.transaction?.())
      attempt(() => db.transaction([], 'readwrite'))
      attempt(() => db.transaction('none', 'readwrite'))
      attempt(() => db.transaction('inline', 'versionchange'))
      attempt(() => db.transaction('inline', 'wrong' as IDBTransactionMode))
      attempt(() => IDBObjectStore.prototype.put.call({} as IDBObjectStore, 1))
      await m.inTransaction(db, ['inline', 'outside'], (tx) => {
        const store = tx.objectStore('inline')
        attempt(() => (store.put as unknown as () => void)())
        attempt(() => store.put({}))
        attempt(() => store.put({ id: 1 }, 2))
        attempt(() => store.put({ id: 1, f: () => 1 }))
        attempt(() => store.delete({} as IDBValidKey))
        attempt(() => tx.objectStore('outside').put(1))
      })
      const readonly = db.transaction('inline')
      attempt(() => readonly.objectStore('inline').put({ id: 1 }))
      const over = db.transaction('inline', 'readwrite')
      const store = over.objectStore('inline')
      await m.ended(over)
      attempt(() => store.put({ id: 1 }))
      attempt(() => over.commit())
      db.close()
      attempt(() => db.transaction('inline', 'readwrite'))
      return errors
    }
    const raw = await m.openDatabase('plain', 1, m.createStores)
    return [await errorsOf(raw), await errorsOf(await m.openTracked('app'))]
  })
  expect(plain).toHaveLength(16)
  expect(captured).toEqual(plain)
})

test('an upgrade is captured from installTidesync on; removed stores leave their logs', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const result = await app.evaluate(async (m) => {
    const first = await m.openDatabase('app', 1, (db, tx) => {
      m.createStores(db)
      tx.objectStore('inline').put({ id: 'before' })
      m.installTidesync(db, tx)
      tx.objectStore('inline').put({ id: 'after' })
    })
    first.close()
    const second = await m.openDatabase('app', 2, (db, tx) => {
      db.deleteObjectStore('inline')
      db.createObjectStore('new', { autoIncrement: true })
      m.installTidesync(db, tx)
      tx.objectStore('new').add('generated')
    })
    const attachment = m.attach(second)
    return {
      tables: attachment.tables,
      parked: await m.readOperations(second, 'inline'),
      fresh: await m.readOperations(second, 'new'),
    }
  })
  expect(result).toEqual({
    tables: ['compound', 'generated', 'injected', 'new', 'outside', 'unique', 'untracked'],
    parked: [{ kind: 0, key: 'after', value: { id: 'after' } }],
    fresh: [{ kind: 0, key: 1, value: 'generated' }],
  })
})

test('a later upgrade that installs first is captured whole, and cannot see our stores', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const result = await app.evaluate(async (m) => {
    const first = await m.openTracked('app')
    await m.inTransaction(first, 'inline', (tx) => tx.objectStore('inline').put({ id: 1 }))
    first.close()
    const second = await m.openDatabase('app', 2, (db, tx) => {
      m.installTidesync(db, tx, { tables: [] })
      tx.objectStore('inline').put({ id: 1, migrated: true })
      for (const name of db.objectStoreNames) {
        if (name !== 'inline') db.deleteObjectStore(name)
      }
      db.createObjectStore('new').put('unseen', 1)
      m.installTidesync(db, tx)
      tx.objectStore('new').put('seen', 2)
    })
    return {
      tables: m.attach(second).tables,
      inline: await m.readOperations(second, 'inline'),
      fresh: await m.readOperations(second, 'new'),
      parked: second.transaction('tidesync.log.outside') !== null,
    }
  })
  expect(result).toEqual({
    tables: ['inline', 'new'],
    inline: [
      { kind: 0, key: 1, value: { id: 1 } },
      { kind: 0, key: 1, value: { id: 1, migrated: true } },
    ],
    fresh: [{ kind: 0, key: 2, value: 'seen' }],
    parked: true,
  })
})

test('installTidesync is strict about where and what, and uninstallTidesync takes all away', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const result = await app.evaluate(async (m) => {
    const codes: string[] = []
    const attempt = (work: () => unknown): void => {
      try {
        work()
      } catch (error) {
        codes.push((error as InstanceType<typeof m.TidesyncError>).code)
      }
    }
    const first = await m.openDatabase('app', 1, (db, tx) => {
      m.createStores(db)
      attempt(() => m.installTidesync(db, tx, { tables: ['nowhere'] }))
      m.installTidesync(db, tx, { tables: ['inline'] })
    })
    attempt(() => m.installTidesync(first, null))
    attempt(() => m.installTidesync(first, first.transaction('inline')))
    const { tables } = m.attach(first)
    first.close()
    const second = await m.openDatabase('app', 2, (db, tx) => {
      m.installTidesync(db, tx)
      tx.objectStore('inline').put({ id: 1 })
      m.uninstallTidesync(db, tx)
      tx.objectStore('inline').put({ id: 2 })
    })
    attempt(() => m.attach(second))
    const stores = Array.from(second.objectStoreNames)
    const records = await m.done(second.transaction('inline').objectStore('inline').count())
    return { codes, tables, stores, records }
  })
  expect(result).toEqual({
    codes: ['unknown-table', 'not-upgrading', 'not-upgrading', 'not-installed'],
    tables: ['inline'],
    stores: ['compound', 'generated', 'injected', 'inline', 'outside', 'unique', 'untracked'],
    records: 2,
  })
})

test('a connection that is not attached is not captured', async ({ page, origin }) => {
  const app = await openModule<Fixture>(page, origin)
  const rows = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    const own = await m.openTracked('app', false)
    await m.inTransaction(own, 'inline', (tx) => tx.objectStore('inline').put({ id: 1 }))
    return [(await m.readLog(db, 'inline')).length, own.objectStoreNames.contains('tidesync.meta')]
  })
  expect(rows).toEqual([0, true])
})

test('onClose tells of close() and of another version that waits', async ({ page, origin }) => {
  const app = await openModule<Fixture>(page, origin)
  const told = await app.evaluate(async (m) => {
    const heard: string[] = []
    const db = await m.openTracked('app')
    const stop = m.onClose((name, reason) => {
      heard.push(`${name} ${reason}`)
      if (reason === 'versionchange') db.close()
    })
    const next = await m.openDatabase('app', 2, () => undefined)
    m.attach(next)
    stop()
    next.close()
    return heard
  })
  expect(told).toEqual(['app versionchange', 'app close'])
})

test('onClose tells which of several connections of a database it is', async ({ page, origin }) => {
  const app = await openModule<Fixture>(page, origin)
  const told = await app.evaluate(async (m) => {
    const heard: unknown[] = []
    const old = await m.openTracked('app')
    const live = await m.openTracked('app', false)
    m.attach(m.idb.wrap(live) as unknown as IDBDatabase)
    m.onClose((name, reason, database) => {
      heard.push([name, reason, database === old ? 'old' : database === live ? 'live' : 'other'])
    })
    old.close()
    const next = m.openDatabase('app', 2, () => undefined)
    await new Promise<void>((resolve) => {
      live.onversionchange = () => resolve()
    })
    live.close()
    await next
    return heard
  })
  expect(told).toEqual([
    ['app', 'close', 'old'],
    ['app', 'versionchange', 'live'],
    ['app', 'close', 'live'],
  ])
})
