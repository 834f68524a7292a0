import { openModule } from '../support/page'
import { expect, test } from '../support/test'

type Fixture = typeof import('./fixtures/shell')

test.use({ entry: 'tests/browser/fixtures/shell.ts' })

test('records are put into stores of every kind, as the app keeps them, and are not captured', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const found = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    const engine = new m.PlayedEngine('app')
    const fence = await engine.load()
    const outcome = await engine.commit(fence, [
      m.putText('inline', 'sa', '{"id":"a","at":["~date",5]}'),
      m.putText('outside', 'sb', '["~map",["k",1]]'),
      m.putText('generated', 'n4', '{"n":4}'),
      m.putText('injected', 'n6', '{"meta":{"x":1}}'),
      m.putText('compound', m.encodeKey([1, 'c']), '{"a":1,"b":{"c":"c"}}'),
    ])
    const stores = ['inline', 'outside', 'generated', 'injected', 'compound']
    const records = await Promise.all(stores.map((store) => m.entriesOf(db, store)))
    const logs = await Promise.all(stores.map((store) => m.readLog(db, store)))
    const [[, inline]] = records[0] as [[unknown, { at: Date }]]
    const [[, outside]] = records[1] as [[unknown, Map<string, number>]]
    const added = db.transaction('injected', 'readwrite').objectStore('injected').add({})
    return {
      outcome,
      records: records.slice(2),
      date: inline.at instanceof Date && inline.at.getTime(),
      map: [...outside],
      logs: logs.flat(),
      next: await m.done(added),
    }
  })
  expect(found).toEqual({
    outcome: { Ok: null },
    date: 5,
    map: [['k', 1]],
    records: [
      [[4, { n: 4 }]],
      [[6, { meta: { x: 1, id: 6 } }]],
      [[[1, 'c'], { a: 1, b: { c: 'c' } }]],
    ],
    logs: [],
    next: 7,
  })
})

test('a record that is removed gives its unique value to one that is put after it', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const found = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    await m.inTransaction(db, 'unique', (tx) => tx.objectStore('unique').put({ id: 1, name: 'x' }))
    const [row] = await m.readLog(db, 'unique')
    const engine = new m.PlayedEngine('app')
    const fence = await engine.load()
    const outcome = await engine.commit(fence, [
      { type: 'deleteRecord', table: 'unique', lid: 'n1' },
      m.putText('unique', 'n2', '{"id":2,"name":"x"}'),
    ])
    const log = await m.readLog(db, 'unique')
    const same = JSON.stringify(log) === JSON.stringify([row])
    return { outcome, records: await m.entriesOf(db, 'unique'), same }
  })
  expect(found).toEqual({
    outcome: { Ok: null },
    records: [[2, { id: 2, name: 'x' }]],
    same: true,
  })
})

test('a commit whose last put fails has written nothing', async ({ page, origin }) => {
  const app = await openModule<Fixture>(page, origin)
  const found = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    await m.inTransaction(db, 'unique', (tx) => tx.objectStore('unique').put({ id: 1, name: 'x' }))
    const engine = new m.PlayedEngine('app')
    const fence = await engine.load()
    const outcome = await engine.commit(fence, [
      { type: 'meta', state: 'new', owner: 'ann' },
      { type: 'consumeLog', table: 'unique', first: 1, last: 9 },
      m.putText('outside', 'n5', '5'),
      m.putText('unique', 'n2', '{"id":2,"name":"x"}'),
    ])
    const [[, meta]] = (await m.entriesOf(db, 'tidesync.meta')) as [[unknown, { state?: string }]]
    return {
      outcome,
      state: meta.state,
      log: (await m.readLog(db, 'unique')).length,
      outside: await m.entriesOf(db, 'outside'),
    }
  })
  expect(found).toEqual({
    outcome: { Err: { kind: 'other', name: 'ConstraintError' } },
    state: undefined,
    log: 1,
    outside: [],
  })
})

test('a change that was logged after what the engine has read lets nothing be written', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const found = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    const engine = new m.PlayedEngine('app')
    const fence = await engine.load()
    const put = (value: number) =>
      m.inTransaction(db, 'outside', (tx) => tx.objectStore('outside').put(value, 'a'))
    const pull = (row: number, text: string) =>
      engine.commit(fence, [m.putText('outside', 'sa', text)], {
        tails: [
          { table: 'inline', row: 0 },
          { table: 'outside', row },
        ],
      })
    await put(1)
    const outcomes = [await pull(1, '10')]
    await put(2)
    outcomes.push(await pull(1, '20'))
    const kept = await m.entriesOf(db, 'outside')
    outcomes.push(await pull(2, '20'))
    return { outcomes, kept, last: await m.entriesOf(db, 'outside') }
  })
  expect(found).toEqual({
    outcomes: [{ Ok: null }, { Err: { kind: 'moved' } }, { Ok: null }],
    kept: [['a', 2]],
    last: [['a', 20]],
  })
})

test('a change of another record behind what the engine has read is no hindrance, a removed range is', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const outcomes = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    const engine = new m.PlayedEngine('app')
    const fence = await engine.load()
    const pull = (text: string) =>
      engine.commit(fence, [m.putText('outside', 'sa', text)], {
        tails: [{ table: 'outside', row: 0 }],
      })
    await m.inTransaction(db, 'outside', (tx) => tx.objectStore('outside').put(1, 'b'))
    const first = await pull('10')
    const range = IDBKeyRange.bound('x', 'z')
    await m.inTransaction(db, 'outside', (tx) => tx.objectStore('outside').delete(range))
    return [first, await pull('20')]
  })
  expect(outcomes).toEqual([{ Ok: null }, { Err: { kind: 'moved' } }])
})

test('pulled changes are put by their place, also when a commit is tried again', async ({
  page,
  origin,
}) => {
  await page.route('http://sync.test/**', (route) =>
    route.fulfill({
      headers: { 'access-control-allow-origin': '*', 'access-control-allow-headers': '*' },
      json: {
        changes: [
          { rid: 'sa', deleted: true },
          { rid: 'sb', value: { tags: ['~array', '~set', 1], at: ['~date', 5] } },
        ],
      },
    }),
  )
  const app = await openModule<Fixture>(page, origin)
  const found = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    const engine = new m.PlayedEngine('app', { url: 'http://sync.test/' })
    const fence = await engine.load()
    const asked = { subject: 'ann', token: 'request', timeoutMs: 5_000 } as const
    const pulled = await engine.ask({ type: 'pull', query: 'limit=2', ...asked })
    const write = { type: 'putRecord', table: 'outside', lid: 'sb' } as const
    const put = (index: number, tail = 0) =>
      engine.commit(fence, [{ ...write, value: { is: 'pulled', index } }], {
        tails: [{ table: 'outside', row: tail }],
      })
    await m.inTransaction(db, 'outside', (tx) => tx.objectStore('outside').put(1, 'b'))
    const outcomes = [await put(1), await put(1, 1), await put(2, 1)]
    const [[, stored]] = (await m.entriesOf(db, 'outside')) as [[unknown, { at: Date; tags: [] }]]
    return { pulled, outcomes, tags: stored.tags, at: stored.at.getTime() }
  })
  expect(found.pulled).toMatchObject({ is: 'answer', status: 200 })
  expect(found.outcomes).toEqual([
    { Err: { kind: 'moved' } },
    { Ok: null },
    { Err: { kind: 'other', name: 'ChangeMissing' } },
  ])
  expect([found.tags, found.at]).toEqual([['~set', 1], 5])
})

test('every tab hears of what came from the server, with the record in the tab that leads', async ({
  context,
  page,
  origin,
}) => {
  await page.route('http://sync.test/**', (route) => route.fulfill({ json: {} }))
  const app = await openModule<Fixture>(page, origin)
  const other = await openModule<Fixture>(await context.newPage(), origin)
  const listen = (m: Fixture) => {
    const heard: unknown[] = []
    const enough = new Promise<unknown[]>((resolve) => {
      m.storageEventManager.onAny(({ tableName, operation, recordId, record, userId, origin }) => {
        heard.push([tableName, operation, recordId, record, userId, origin])
        if (heard.length === 2) resolve(heard)
      })
    })
    return m.openTracked('app').then(() => ({ enough }))
  }
  const here = await app.evaluateHandle(listen)
  const there = await other.evaluateHandle(listen)
  await app.evaluate(async (m) => {
    const engine = new m.PlayedEngine('app', { url: 'http://sync.test' })
    const fence = await engine.load()
    const asked = { subject: 'ann', token: 'request', timeoutMs: 5_000 } as const
    await engine.ask({ type: 'pull', query: '', ...asked })
    await engine.commit(fence, [
      m.putText('injected', 'n3', '{"t":1}'),
      { type: 'deleteRecord', table: 'outside', lid: 'sb' },
    ])
  })
  const record = { t: 1, meta: { id: 3 } }
  expect(await here.evaluate(({ enough }) => enough)).toEqual([
    ['injected', 'update', 3, record, 'ann', 'remote'],
    ['outside', 'delete', 'b', undefined, 'ann', 'remote'],
  ])
  expect(await there.evaluate(({ enough }) => enough)).toEqual([
    ['injected', 'update', 3, undefined, 'ann', 'remote'],
    ['outside', 'delete', 'b', undefined, 'ann', 'remote'],
  ])
})

test('a store that is not there is told as that, a lost connection as closed', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const outcomes = await app.evaluate(async (m) => {
    await m.openTracked('app')
    const engine = new m.PlayedEngine('app')
    await engine.load()
    const read = (table: string) =>
      engine.ask({
        type: 'readLog',
        after: [{ table, row: 0 }],
        ...{ bytesMax: 1_000, opsMax: 10, values: false },
      })
    const missing = await read('nowhere')
    await m.upgradeElsewhere('app')
    return [missing, await read('outside')]
  })
  expect(outcomes).toEqual([
    { Err: { kind: 'other', name: 'NotFoundError' } },
    { Err: { kind: 'closed' } },
  ])
})

test('a table that the app has removed takes no records, and the rest is written', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const found = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    const engine = new m.PlayedEngine('app')
    const fence = await engine.load()
    const outcome = await engine.commit(fence, [
      m.putText('removed', 'sa', '1'),
      { type: 'deleteRecord', table: 'removed', lid: 'sb' },
      m.putText('outside', 'sa', '1'),
    ])
    return [outcome, await m.entriesOf(db, 'outside')]
  })
  expect(found).toEqual([{ Ok: null }, [['a', 1]]])
})

test('log rows are appended as capture writes them', async ({ page, origin }) => {
  const app = await openModule<Fixture>(page, origin)
  const rows = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    m.attach(db).user = 'ann'
    await m.inTransaction(db, 'outside', (tx) => {
      tx.objectStore('outside').put('x'.repeat(20_000), 'a')
    })
    await m.inTransaction(db, 'outside', (tx) => tx.objectStore('outside').delete('a'))
    const engine = new m.PlayedEngine('app')
    const fence = await engine.load()
    const row = { type: 'appendLog', table: 'outside', lid: 'sa', user: 'ann', atMs: 5 } as const
    await engine.commit(fence, [{ ...row, delete: false }])
    await engine.commit(fence, [{ ...row, delete: true }])
    return m.readLog(db, 'outside')
  })
  expect(rows.map(({ row }) => row)).toEqual([1, 2, 3, 4])
  const [put, removed] = rows.map((row) => ({ ...row, at: 5 }))
  expect(rows.slice(2)).toEqual([
    { ...put, row: 3 },
    { ...removed, row: 4 },
  ])
})

test('what is held keeps what stands against it, and is renewed with its own text', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const rows = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    const engine = new m.PlayedEngine('app')
    const fence = await engine.load()
    const notice = { table: 'outside', lid: 'sa', code: 'conflict', message: 'm', at_ms: 5 }
    const whose = { user: 'ann', base: 2 }
    const held = { type: 'putHeld', op: 'a.1', notice, ...whose, remote: '{"version":3}' } as const
    const text = { is: 'whole', text: '{"op":"a.1"}' } as const
    const renewed = { type: 'renewHeld', op: 'a.1', remote: null, message: null } as const
    const rows: unknown[] = []
    const look = async () => {
      const [[op, row]] = (await m.entriesOf(db, 'tidesync.held')) as [
        [unknown, { state: Uint8Array }],
      ]
      rows.push([op, { ...row, state: Array.from(row.state) }])
    }
    await engine.commit(fence, [{ ...held, state: [1, 2], text }], { bytes: [9, 1, 2] })
    await look()
    await engine.commit(fence, [{ ...renewed, state: [0, 1] }], { bytes: [3] })
    await look()
    await engine.commit(fence, [{ ...renewed, op: 'gone', state: [0, 1] }], { bytes: [3] })
    await look()
    await engine.commit(fence, [{ ...renewed, message: 'n', state: [0, 1] }], { bytes: [3] })
    await look()
    return rows
  })
  const rest = { table: 'outside', lid: 'sa', code: 'conflict', message: 'm', at: 5 }
  const text = '{"op":"a.1"}'
  expect(rows).toMatchObject([
    ['a.1', { ...rest, text, state: [1, 2], remote: '{"version":3}' }],
    ['a.1', { ...rest, text, state: [3] }],
    ['a.1', { ...rest, text, state: [3] }],
    ['a.1', { ...rest, text, state: [3], message: 'n' }],
  ])
})

test('the newest thousand entries of the history are kept, and a database without one goes on', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const found = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    const engine = new m.PlayedEngine('app')
    const fence = await engine.load()
    const entries = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, n) => ({
        type: 'putHistory' as const,
        entry: JSON.stringify({ n: from + n }),
      }))
    await engine.commit(fence, entries(0, 998))
    await engine.commit(fence, entries(998, 1_003))
    const kept = await m.entriesOf(db, 'tidesync.history')
    engine.shell.stop()
    db.close()
    const without = await m.openDatabase('app', 2, (upgraded) =>
      upgraded.deleteObjectStore('tidesync.history'),
    )
    const next = new m.PlayedEngine('app')
    const outcome = await next.commit(await next.load(), [
      ...entries(0, 1),
      m.putText('outside', 'sa', '1'),
    ])
    const outside = await m.entriesOf(without, 'outside')
    return { count: kept.length, ends: [kept[0], kept.at(-1)], outcome, outside }
  })
  expect(found).toEqual({
    count: 1_000,
    ends: [
      [4, { n: 3 }],
      [1_003, { n: 1_002 }],
    ],
    outcome: { Ok: null },
    outside: [['a', 1]],
  })
})

test('under a fence that another tab has raised nothing is written and no key is taken', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const found = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    const late = new m.PlayedEngine('app')
    const fence = await late.load()
    await new m.PlayedEngine('app').load()
    const outcomes = [
      await late.commit(fence, [m.putText('outside', 'sa', '1')]),
      await late.ask({ type: 'reserve', fence, table: 'generated', count: 5 }),
    ]
    const outside = await m.entriesOf(db, 'outside')
    const store = db.transaction('generated', 'readwrite').objectStore('generated')
    return { outcomes, outside, next: await m.done(store.add(1)) }
  })
  const fenced = { Err: { kind: 'fenced' } }
  expect(found).toEqual({ outcomes: [fenced, fenced], outside: [], next: 1 })
})

for (const table of ['generated', 'injected']) {
  test(`keys of the ${table} store are taken, and no record is left of it`, async ({
    page,
    origin,
  }) => {
    const app = await openModule<Fixture>(page, origin)
    const found = await app.evaluate(async (m, store) => {
      const db = await m.openTracked('app')
      const add = () => m.done(db.transaction(store, 'readwrite').objectStore(store).add({ n: 1 }))
      const engine = new m.PlayedEngine('app')
      const fence = await engine.load()
      const reserve = (count: number) => engine.ask({ type: 'reserve', fence, table: store, count })
      const keys = [await add(), await reserve(3), await reserve(1), await add()]
      const stored = (await m.entriesOf(db, store)).map(([key]) => key)
      return { keys, stored, log: (await m.readLog(db, store)).length }
    }, table)
    expect(found).toEqual({ keys: [1, { Ok: 2 }, { Ok: 5 }, 6], stored: [1, 6], log: 2 })
  })
}

test.describe('on a disk that is full', () => {
  test.use({ profile: 'disk' })

  test('a commit is told why it wrote nothing', async ({ context, page, origin }) => {
    const app = await openModule<Fixture>(page, origin)
    await app.evaluate((m) => m.openTracked('app'))
    const session = await context.newCDPSession(page)
    await session.send('Storage.overrideQuotaForOrigin', {
      origin: origin.url,
      quotaSize: 2_000_000,
    })
    const found = await app.evaluate(async (m) => {
      const db = await m.openTracked('app')
      const engine = new m.PlayedEngine('app')
      const fence = await engine.load()
      const text = JSON.stringify('x'.repeat(100_000))
      for (let n = 0; ; n += 1) {
        const outcome = await engine.commit(fence, [m.putText('outside', `n${n}`, text)])
        if ('Ok' in outcome) continue
        return { outcome, same: (await m.entriesOf(db, 'outside')).length === n }
      }
    })
    expect(found).toEqual({ outcome: { Err: { kind: 'full' } }, same: true })
  })
})
