import { expect, test } from '../support/e2e'

const USER = 'ann'

test.describe('every way to write reaches the server', () => {
  test('put, add, delete, a range, clear and cursors', async ({ world }) => {
    const { app } = await world.open(USER)
    await app.evaluate(async (m) => {
      const put = (id: string) => ({ do: 'put' as const, store: 'notes', value: { id } })
      await m.write(...['a', 'b', 'c', 'd', 'e'].map(put))
      await m.write({ do: 'add', store: 'notes', value: { id: 'f', text: 'added' } })
      await m.write({ do: 'delete', store: 'notes', key: 'a' })
      await m.write({ do: 'deleteRange', store: 'notes', from: 'b', to: 'c' })
      await m.write({ do: 'cursorUpdate', store: 'notes', value: { seen: true } })
      await m.write({ do: 'put', store: 'loose', value: [1, 2], key: ['k', 1] })
      await m.write({ do: 'put', store: 'loose', value: 'gone', key: 7 })
      await m.write({ do: 'cursorDelete', store: 'loose' })
      await m.write({ do: 'put', store: 'loose', value: 'kept', key: 8 })
      await m.until({ pending: 0, phase: 'idle' })
    })

    expect(await world.server.docs(USER, 'notes')).toEqual(
      new Map([
        ['sd', { id: 'd', seen: true }],
        ['se', { id: 'e', seen: true }],
        ['sf', { id: 'f', text: 'added', seen: true }],
      ]),
    )
    expect(await world.server.docs(USER, 'loose')).toEqual(new Map([['n8', 'kept']]))
  })

  test('records that are cleared after they were sent are deleted on the server', async ({
    world,
  }) => {
    const { app } = await world.open(USER)
    await app.evaluate(async (m) => {
      await m.putNotes(20)
      await m.until({ pending: 0, phase: 'idle' })
      await m.write({ do: 'clear', store: 'notes' })
      await m.putNote('after')
      await m.until({ pending: 0, phase: 'idle' })
    })

    expect(await world.server.docs(USER, 'notes')).toEqual(new Map([['safter', { id: 'after' }]]))
    const { records } = await world.server.state()
    expect(records.filter(({ deleted }) => deleted)).toHaveLength(20)
  })

  test('generated keys travel as ids that no other device makes', async ({ world }) => {
    const { app } = await world.open(USER)
    const keys = await app.evaluate(async (m) => {
      const added = await m.write(
        { do: 'add', store: 'tasks', value: { title: 'one' } },
        { do: 'add', store: 'tasks', value: { title: 'two' } },
        { do: 'add', store: 'counters', value: 40 },
      )
      await m.until({ pending: 0, phase: 'idle' })
      await m.write({ do: 'put', store: 'tasks', value: { id: 2, title: 'two again' } })
      await m.until({ pending: 0, phase: 'idle' })
      return added
    })

    expect(keys).toEqual([1, 2, 1])
    const tasks = await world.server.docs(USER, 'tasks')
    expect([...tasks.values()]).toEqual([{ title: 'one' }, { title: 'two again' }])
    for (const rid of tasks.keys()) expect(rid).toMatch(/^r[\w-]{22}$/)
    expect([...(await world.server.docs(USER, 'counters')).values()]).toEqual([40])
  })

  test('values that JSON has no word for arrive in their wire form', async ({ world }) => {
    const { app } = await world.open(USER)
    await app.evaluate(async (m) => {
      const value = {
        id: 'typed',
        at: new Date(86_400_000),
        tags: new Set(['a']),
        size: 12n,
        none: undefined,
        bytes: new Uint8Array([1, 2, 3]),
        zero: -0,
        plain: ['~not a tag'],
      }
      await m.write({ do: 'put', store: 'notes', value })
      await m.until({ pending: 0, phase: 'idle' })
    })

    expect((await world.server.docs(USER, 'notes')).get('styped')).toEqual({
      id: 'typed',
      at: ['~date', 86_400_000],
      tags: ['~set', 'a'],
      size: ['~bigint', '12'],
      none: ['~undef'],
      bytes: ['~view', 'Uint8Array', 'AQID'],
      zero: ['~num', '-0'],
      plain: ['~array', '~not a tag'],
    })
  })

  test('an aborted transaction sends nothing', async ({ world }) => {
    const { app } = await world.open(USER)
    await app.evaluate(async (m) => {
      await new Promise((resolve) => {
        const transaction = m.db().transaction('notes', 'readwrite')
        transaction.objectStore('notes').put({ id: 'aborted' })
        transaction.onabort = resolve
        transaction.abort()
      })
      await m.putNote('kept')
      await m.until({ pending: 0, phase: 'idle' })
    })

    expect([...(await world.server.docs(USER, 'notes')).keys()]).toEqual(['skept'])
  })
})

test('10,000 writes of one transaction arrive, each once', async ({ world }) => {
  const { app } = await world.open(USER)
  await app.evaluate(async (m) => {
    await m.putNotes(10_000)
    await m.until({ pending: 0, phase: 'idle' })
  })

  const { records, operations, versions } = await world.server.state()
  expect(records).toHaveLength(10_000)
  expect(operations).toHaveLength(10_000)
  expect(versions.get(`~${USER}`)).toBe(10_000)
  expect(records.every(({ rid, doc }) => `s${(doc as { text: string }).text}` === rid)).toBe(true)
})

test('changes of one record are folded to the last while they wait', async ({ world }) => {
  const { app } = await world.open(USER)
  await app.evaluate(async (m) => {
    for (let n = 0; n < 30; n++) await m.putNote('one', { n })
    await m.until({ pending: 0, phase: 'idle' })
  })

  expect(await world.server.docs(USER, 'notes')).toEqual(new Map([['sone', { id: 'one', n: 29 }]]))
  expect((await world.server.state()).operations.length).toBeLessThan(30)
})
