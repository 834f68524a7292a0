import { openModule } from '../support/page'
import { expect, test } from '../support/test'

type Fixture = typeof import('./fixtures/capture')

test.use({ entry: 'tests/browser/fixtures/capture.ts' })

test('a write and its log row commit together, in few rows', async ({ page, origin }) => {
  const app = await openModule<Fixture>(page, origin)
  const result = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    const end = await m.inTransaction(db, ['inline', 'outside'], (tx) => {
      tx.objectStore('inline').put({ id: 1, text: 'one' })
      tx.objectStore('inline').add({ id: 2, text: 'two' })
      tx.objectStore('outside').put({ n: 1 }, 'key')
      tx.objectStore('inline').delete(1)
    })
    return {
      end,
      inline: await m.readOperations(db, 'inline'),
      outside: await m.readOperations(db, 'outside'),
      rows: (await m.readLog(db, 'inline')).length,
    }
  })
  expect(result).toEqual({
    end: 'complete',
    inline: [
      { kind: 0, key: 1, value: { id: 1, text: 'one' } },
      { kind: 0, key: 2, value: { id: 2, text: 'two' } },
      { kind: 3, key: 1 },
    ],
    outside: [{ kind: 0, key: 'key', value: { n: 1 } }],
    rows: 2,
  })
})

test('10,000 writes in one transaction make 41 rows of at most 256 operations', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const lengths = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    await m.inTransaction(db, 'inline', (tx) => {
      const store = tx.objectStore('inline')
      for (let id = 0; id < 10_000; id += 1) store.put({ id })
    })
    return (await m.readLog(db, 'inline')).map((row) => row.ops.length / 3)
  })
  expect(lengths).toEqual([1, ...Array(39).fill(256), 15])
})

test('a row is closed at about 64 KiB', async ({ page, origin }) => {
  const app = await openModule<Fixture>(page, origin)
  const lengths = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    await m.inTransaction(db, 'inline', (tx) => {
      for (let id = 0; id < 100; id += 1) {
        tx.objectStore('inline').put({ id, text: 'x'.repeat(10_000) })
      }
    })
    return (await m.readLog(db, 'inline')).map((row) => row.json.length)
  })
  expect(lengths.length).toBe(16)
  expect(Math.max(...lengths)).toBeLessThan(64 * 1_024 + 16 * 1_024)
})

test('values are fixed at the call: plain as JSON, others cloned, large ones by reference', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const result = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    await m.inTransaction(db, 'outside', (tx) => {
      const store = tx.objectStore('outside')
      const value = { n: 1, when: undefined as Date | undefined }
      const key = ['k', 1]
      store.put({ n: value.n }, key)
      key[1] = 2
      value.when = new Date(5)
      store.put(value, key)
      value.when.setTime(6)
      value.n = 9
      store.put('x'.repeat(16 * 1_024), 'large text')
      store.put({ blob: new Blob(['small']) }, 'small blob')
      store.put({ blob: new Blob(['x'.repeat(16 * 1_024 + 1)]) }, 'large blob')
      store.put(new Map([['buffer', new ArrayBuffer(16 * 1_024 + 1)]]), 'large buffer')
    })
    const operations = await m.readOperations(db, 'outside')
    return operations.map(({ kind, key, value }) => ({
      kind,
      key,
      when: (value as { when?: Date })?.when?.getTime(),
      n: (value as { n?: number })?.n,
      blob: (value as { blob?: Blob })?.blob?.size,
    }))
  })
  expect(result).toEqual([
    { kind: 0, key: ['k', 1], n: 1 },
    { kind: 1, key: ['k', 2], n: 1, when: 5 },
    { kind: 2, key: 'large text' },
    { kind: 1, key: 'small blob', blob: 5 },
    { kind: 2, key: 'large blob' },
    { kind: 2, key: 'large buffer' },
  ])
})

test('rows carry format, time, page and the user at that time', async ({ page, origin }) => {
  const app = await openModule<Fixture>(page, origin)
  const rows = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    const attachment = m.attach(db)
    for (const user of [undefined, null, 'ann']) {
      attachment.user = user
      await m.inTransaction(db, 'outside', (tx) => tx.objectStore('outside').put(1, 1))
    }
    return m.readLog(db, 'outside')
  })
  expect(rows.map(({ row, v, inc }) => [row, v, /^[0-9a-f]{32}$/.test(inc)])).toEqual([
    [1, 1, true],
    [2, 1, true],
    [3, 1, true],
  ])
  expect(rows.map((row) => ('user' in row ? row.user : 'absent'))).toEqual(['absent', null, 'ann'])
  for (const { at } of rows) expect(Math.abs(at - Date.now())).toBeLessThan(60_000)
})

test("a write is its user's at the call, whoever signs in before it is logged", async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const rows = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    const attachment = m.attach(db)
    attachment.user = 'ann'
    await m.inTransaction(db, 'outside', (tx) => {
      const store = tx.objectStore('outside')
      store.put(1, 1)
      store.put(2, 2)
      attachment.user = 'bob'
      store.put(3, 3)
    })
    return m.readLog(db, 'outside')
  })
  const written = rows.map(({ user, ops }) => [user, ops.filter((_, at) => at % 3 === 1)])
  expect(written).toEqual([
    ['ann', [1]],
    ['ann', [2]],
    ['bob', [3]],
  ])
})

test('all connections of a database write under the user of the one that signed in last', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const users = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    m.attach(db).user = 'ann'
    const other = await m.openTracked('app')
    m.attach(other).user = 'bob'
    await m.inTransaction(db, 'outside', (tx) => tx.objectStore('outside').put(1, 1))
    return (await m.readLog(db, 'outside')).map(({ user }) => user)
  })
  expect(users).toEqual(['bob'])
})

test('generated keys come from the request, also when the app commits before they are known', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const result = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    const refused: string[] = []
    const attempt = (work: () => unknown): void => {
      try {
        work()
      } catch (error) {
        refused.push((error as DOMException).name)
      }
    }
    const before = IDBObjectStore.prototype.get
    const end = await m.inTransaction(db, ['generated', 'injected'], (tx) => {
      const generated = tx.objectStore('generated')
      generated.add('first')
      generated.put('seventh', 7)
      generated.put('eighth')
      tx.objectStore('injected').add({ text: 'inside' })
      tx.commit()
      attempt(() => generated.put('late'))
      attempt(() => generated.get(1))
      attempt(() => generated.clear())
      attempt(() => tx.commit())
      attempt(() => tx.abort())
    })
    return {
      end,
      refused,
      restored: before === IDBObjectStore.prototype.get,
      generated: await m.readOperations(db, 'generated'),
      injected: await m.readOperations(db, 'injected'),
    }
  })
  expect(result).toEqual({
    end: 'complete',
    refused: [
      'TransactionInactiveError',
      'TransactionInactiveError',
      'TransactionInactiveError',
      'InvalidStateError',
      'InvalidStateError',
    ],
    restored: true,
    generated: [
      { kind: 0, key: 1, value: 'first' },
      { kind: 0, key: 7, value: 'seventh' },
      { kind: 0, key: 8, value: 'eighth' },
    ],
    injected: [{ kind: 0, key: 1, value: { text: 'inside' } }],
  })
})

test('a failed request that the app prevents leaves no entry, also when its row was written', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const result = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    await m.inTransaction(db, 'unique', (tx) => {
      tx.objectStore('unique').put({ id: 1, name: 'ann' })
    })
    const failing = (tx: IDBTransaction, value: object, method: 'add' | 'put'): void => {
      const request = tx.objectStore('unique')[method](value)
      request.onerror = (event) => event.preventDefault()
    }
    const ends = [
      await m.inTransaction(db, 'unique', (tx) => failing(tx, { id: 1, name: 'x' }, 'add')),
      await m.inTransaction(db, 'unique', (tx) => {
        failing(tx, { id: 2, name: 'ann' }, 'put')
        tx.objectStore('unique').put({ id: 3, name: 'bob' })
        failing(tx, { id: 3, name: 'y' }, 'add')
      }),
    ]
    return { ends, rows: await m.readLog(db, 'unique') }
  })
  expect(result.ends).toEqual(['complete', 'complete'])
  expect(result.rows.map(({ ops, json }) => [ops, json])).toEqual([
    [[0, 1, 21], '{"id":1,"name":"ann"}'],
    [[0, 3, 21], '{"id":3,"name":"bob"}'],
  ])
})

test('what may still fail at an explicit commit is logged by reference', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const operations = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    await m.inTransaction(db, ['unique', 'inline'], (tx) => {
      tx.objectStore('inline').put({ id: 1 })
      tx.objectStore('inline').add({ id: 2 })
      tx.objectStore('inline').put({ id: 3 })
      tx.objectStore('unique').put({ id: 1, name: 'ann' })
      tx.commit()
    })
    return [await m.readOperations(db, 'inline'), await m.readOperations(db, 'unique')]
  })
  expect(operations).toEqual([
    [
      { kind: 0, key: 1, value: { id: 1 } },
      { kind: 2, key: 2 },
      { kind: 0, key: 3, value: { id: 3 } },
    ],
    [
      { kind: 0, key: 1, value: { id: 1, name: 'ann' } },
      { kind: 2, key: 1 },
    ],
  ])
})

test('clear, ranges and cursors are logged as what they do', async ({ page, origin }) => {
  const app = await openModule<Fixture>(page, origin)
  const operations = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    await m.inTransaction(db, 'compound', (tx) => {
      const store = tx.objectStore('compound')
      for (const a of [1, 2, 3]) store.put({ a, b: { c: 'x' } })
    })
    await m.inTransaction(db, 'compound', (tx) => {
      const store = tx.objectStore('compound')
      store.openCursor().onsuccess = ({ target }) => {
        const cursor = (target as IDBRequest<IDBCursorWithValue | null>).result
        if (cursor === null) return
        if (cursor.value.a === 1) cursor.update({ ...cursor.value, more: true })
        else cursor.delete()
        if (cursor.value.a < 2) cursor.continue()
        else {
          store.delete(IDBKeyRange.lowerBound([2], true))
          store.delete(IDBKeyRange.only([9, 9]))
          store.clear()
        }
      }
    })
    return (await m.readOperations(db, 'compound')).slice(3)
  })
  expect(operations).toEqual([
    { kind: 0, key: [1, 'x'], value: { a: 1, b: { c: 'x' }, more: true } },
    { kind: 3, key: [2, 'x'] },
    { kind: 4, key: { lower: [2], lowerOpen: true, upperOpen: true } },
    { kind: 3, key: [9, 9] },
    { kind: 5, key: null },
  ])
})

test('an aborted transaction leaves no row and tells nothing', async ({ page, origin }) => {
  const app = await openModule<Fixture>(page, origin)
  const result = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    let told = 0
    m.onCommit(() => {
      told += 1
    })
    const aborted = await m.inTransaction(db, 'inline', (tx) => {
      tx.objectStore('inline').put({ id: 1 }).onsuccess = () => tx.abort()
    })
    const failed = await m.inTransaction(db, 'inline', (tx) => {
      tx.objectStore('inline').put({ id: 1 })
      tx.objectStore('inline').add({ id: 1 })
    })
    return { aborted, failed, told, rows: (await m.readLog(db, 'inline')).length }
  })
  expect(result).toEqual({ aborted: 'abort ', failed: 'abort ConstraintError', told: 0, rows: 0 })
})

test('unmodified idb is captured, through its shortcuts and its wrapped objects', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const result = await app.evaluate(async (m) => {
    const db = await m.idb.openDB('app', 1, {
      upgrade(fresh, _old, _new, tx) {
        m.createStores(m.idb.unwrap(fresh))
        m.installTidesync(fresh as unknown as IDBDatabase, tx as unknown as IDBTransaction)
      },
    })
    const wrapped = db as unknown as IDBDatabase
    const attachment = m.attach(wrapped)
    await db.put('inline', { id: 1 })
    const key = await db.add('generated', 'text')
    const tx = db.transaction('inline', 'readwrite')
    const single = tx.store !== undefined
    await tx.store.put({ id: 2 })
    for await (const cursor of tx.store) if (cursor.key === 1) await cursor.update({ id: 1, b: 2 })
    await tx.done
    await db.delete('inline', 2)
    return {
      same:
        attachment.database === m.idb.unwrap(db) && m.attach(attachment.database) === attachment,
      key,
      single,
      names: Array.from(db.objectStoreNames),
      operations: await m.readOperations(attachment.database, 'inline'),
    }
  })
  expect(result).toEqual({
    same: true,
    key: 1,
    single: true,
    names: ['compound', 'generated', 'injected', 'inline', 'outside', 'unique', 'untracked'],
    operations: [
      { kind: 0, key: 1, value: { id: 1 } },
      { kind: 0, key: 2, value: { id: 2 } },
      { kind: 0, key: 1, value: { id: 1, b: 2 } },
      { kind: 3, key: 2 },
    ],
  })
})

test('idb iterates on beside a commit that waits for a generated key', async ({ page, origin }) => {
  const app = await openModule<Fixture>(page, origin)
  const result = await app.evaluate(async (m) => {
    const raw = await m.openTracked('app')
    await m.inTransaction(raw, 'outside', (tx) => {
      for (const key of [1, 2, 3, 4]) tx.objectStore('outside').put('value', key)
    })
    const db = m.idb.wrap(raw)
    const { get } = IDBObjectStore.prototype
    const windows: boolean[] = []
    const commitLater = (): void => {
      const tx = raw.transaction('generated', 'readwrite')
      tx.objectStore('generated').add('text')
      tx.commit()
      windows.push(IDBObjectStore.prototype.get !== get)
    }
    const stepped: unknown[] = []
    let cursor = await db.transaction('outside').store.openCursor()
    while (cursor) {
      stepped.push(cursor.key)
      commitLater()
      cursor = await cursor.continue()
    }
    const iterated: unknown[] = []
    for await (const { key } of db.transaction('outside').store) {
      iterated.push(key)
      commitLater()
    }
    return { windows, stepped, iterated }
  })
  expect(result).toEqual({
    windows: Array(8).fill(true),
    stepped: [1, 2, 3, 4],
    iterated: [1, 2, 3, 4],
  })
})

test('idb that is first used while a commit waits iterates ever after', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const result = await app.evaluate(async (m) => {
    const raw = await m.openTracked('app')
    await m.inTransaction(raw, 'outside', (tx) => {
      for (const key of [1, 2, 3]) tx.objectStore('outside').put('value', key)
    })
    const tx = raw.transaction('generated', 'readwrite')
    const end = m.ended(tx)
    tx.objectStore('generated').add('text')
    tx.commit()
    const db = m.idb.wrap(raw)
    const count = db.transaction('outside').store.count()
    const outcome = [await count, await end]
    let keys = 0
    for (let cursor = await db.transaction('outside').store.openCursor(); cursor; keys += 1) {
      cursor = await cursor.continue()
    }
    return { outcome, keys }
  })
  expect(result).toEqual({ outcome: [3, 'complete'], keys: 3 })
})

test('accessor properties run as often as is documented', async ({ page, origin }) => {
  const app = await openModule<Fixture>(page, origin)
  const counts = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    const runs = { plain: 0, typed: 0, key: 0 }
    const counted = (name: keyof typeof runs, value: unknown): PropertyDescriptor => ({
      enumerable: true,
      get: () => {
        runs[name] += 1
        return value
      },
    })
    await m.inTransaction(db, ['outside', 'inline'], (tx) => {
      const outside = tx.objectStore('outside')
      outside.put(Object.defineProperties({}, { n: counted('plain', 1) }), 1)
      outside.put(Object.defineProperties({}, { n: counted('typed', new Date(1)) }), 2)
      tx.objectStore('inline').put(
        Object.defineProperties(
          {},
          { id: counted('key', 1), when: { value: new Date(1), enumerable: true } },
        ),
      )
    })
    return runs
  })
  expect(counts).toEqual({ plain: 3, typed: 4, key: 5 })
})
