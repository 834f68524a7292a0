import { openModule } from '../support/page'
import { expect, test } from '../support/test'

type Fixture = typeof import('./fixtures/shell')

test.use({ entry: 'tests/browser/fixtures/shell.ts' })

test('values and records are given as their wire forms, with pages of the shadow beside them', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const found = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    await m.inTransaction(db, ['outside', 'injected'], (tx) => {
      tx.objectStore('outside').put('é', 'small')
      tx.objectStore('outside').put('x'.repeat(20_000), 'large')
      tx.objectStore('outside').put('x'.repeat(20_000), 'gone')
      tx.objectStore('injected').put({ at: new Date(5) })
    })
    await m.inTransaction(db, 'outside', (tx) => tx.objectStore('outside').delete('gone'))
    const engine = new m.PlayedEngine('app')
    const fence = await engine.load()
    const page = { table: 'outside', bucket: 3 }
    const putPage = (whole: boolean, bytes: number[]) =>
      engine.commit(fence, [{ type: 'putPage', page, whole, bytes: [1, bytes.length] }], {
        bytes: [0, ...bytes],
      })
    await putPage(false, [1])
    await putPage(true, [8, 9])
    for (let part = 10; part < 22; part += 1) await putPage(false, [part])
    const log = await engine.ask({
      type: 'readLog',
      after: [{ table: 'outside', row: 0 }],
      bytesMax: 1_000_000,
      opsMax: 1_000,
      values: true,
    })
    if (!('Ok' in log)) throw new Error('the log was not read')
    const { rows } = log.Ok as unknown as { rows: { ops: { kind: string; slot?: number }[] }[] }
    const slots = rows.flatMap(({ ops }) => ops.flatMap(({ slot }) => slot ?? []))
    const prepared = await engine.ask({
      type: 'prepare',
      slots,
      records: [
        { table: 'injected', lid: 'n1' },
        { table: 'outside', lid: 'snone' },
        { table: 'removed', lid: 'sa' },
      ],
      pages: [page, { table: 'outside', bucket: 4 }],
    })
    if (!('Ok' in prepared)) throw new Error(JSON.stringify(prepared))
    const { bytes, values, pages } = prepared.Ok as unknown as {
      bytes: [number, number]
      values: { is: string; end: number }[]
      pages: [number, number][]
    }
    const cut = ([offset, length]: readonly [number, number]) =>
      engine.bytes.slice(offset, offset + length)
    const all = cut(bytes)
    let start = 0
    const texts = values.map(({ is, end }) => {
      if (is !== 'wire') return is
      const text = new TextDecoder().decode(all.slice(start, end))
      start = end
      return text.length > 20_000 ? 'large' : text
    })
    return { texts, pages: pages.map((place) => Array.from(cut(place))) }
  })
  expect(found).toEqual({
    texts: ['"é"', 'large', 'gone', '{"at":["~date",5],"meta":{}}', 'gone', 'gone'],
    pages: [[8, 9, ...Array.from({ length: 12 }, (_, at) => at + 10)], []],
  })
})

test('a long log is read in chunks of whole rows, and a table in pages', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const found = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    for (let id = 0; id < 30; id += 1) {
      await m.inTransaction(db, 'inline', (tx) => tx.objectStore('inline').put({ id, t: 'x' }))
    }
    const engine = new m.PlayedEngine('app')
    await engine.load()
    const chunks: number[][] = []
    for (let row = 0, end = false; !end; ) {
      const outcome = await engine.ask({
        type: 'readLog',
        after: [{ table: 'inline', row }],
        bytesMax: 1_000,
        opsMax: 100,
        values: false,
      })
      const chunk = (outcome as unknown as { Ok: { rows: { row: number }[]; end: boolean } }).Ok
      chunks.push(chunk.rows.map((each) => each.row))
      row = chunks.flat().at(-1) ?? 0
      end = chunk.end
    }
    const pages: string[][] = []
    const totals: number[] = []
    for (let after: string | null = null, end = false; !end; ) {
      const limits = { recordsMax: 8, bytesMax: 1_000_000 }
      const outcome = await engine.ask({ type: 'scan', table: 'inline', after, ...limits })
      const scanned = (
        outcome as unknown as { Ok: { records: { lid: string }[]; end: boolean; total: number } }
      ).Ok
      pages.push(scanned.records.map(({ lid }) => lid))
      totals.push(scanned.total)
      after = pages.flat().at(-1) ?? null
      end = scanned.end
    }
    return { chunks, pages, totals }
  })
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => from + n)
  expect(found.chunks.flat()).toEqual(range(1, 31))
  // About 80 bytes a row, so 12 or 13 rows reach the limit.
  expect(found.chunks.map((rows) => rows.length)).toEqual([13, 13, 4])
  expect(found.pages.flat()).toEqual(range(0, 30).map((id) => `n${id}`))
  expect(found.pages.map((lids) => lids.length)).toEqual([8, 8, 8, 6])
  expect(new Set(found.totals)).toEqual(new Set([30]))
})

test('the app decides a conflict, on values as it knows them', async ({ page, origin }) => {
  const app = await openModule<Fixture>(page, origin)
  const found = await app.evaluate(async (m) => {
    await m.openTracked('app')
    const reported: unknown[] = []
    m.setErrorReporter((error) => reported.push((error as Error).message))
    const seen: unknown[] = []
    let answer: (conflict: { local: unknown }) => unknown = () => null
    const resolve = (conflict: { local: unknown }) => {
      seen.push({ ...conflict, local: structuredClone(conflict.local) })
      return answer(conflict)
    }
    const engine = new m.PlayedEngine('app', {
      tables: { injected: { resolve }, outside: { resolve } },
    })
    await engine.load()
    const conflict = { lid: 'n7', base: 3, local: '{"n":1}', remote: null }
    const ask = (table: string) =>
      engine.ask({ type: 'askResolver', conflict: { ...conflict, table } })
    const outcomes = [await ask('injected')]
    for (const next of [
      async ({ local }: { local: unknown }) => ({ ...(local as object), at: new Date(5) }),
      () => undefined,
      () => {
        throw new RangeError('quotes user data')
      },
    ]) {
      answer = next
      outcomes.push(await ask('injected'))
    }
    answer = () => ({ f: () => 1 })
    outcomes.push(await ask('outside'))
    outcomes.push(await ask('inline'))
    return { outcomes, seen: seen[0], reported }
  })
  expect(found.seen).toEqual({
    table: 'injected',
    key: 7,
    base: 3,
    local: { n: 1, meta: { id: 7 } },
    remote: null,
  })
  expect(found.outcomes).toEqual([
    { Ok: { value: null } },
    { Ok: { value: '{"n":1,"meta":{},"at":["~date",5]}' } },
    { Err: 'resolve gave nothing: it must give a value or null' },
    { Err: 'resolve failed: RangeError' },
    { Err: 'resolve gave what cannot be sent: unsupported-type $.f: function' },
    { Err: 'the table has no resolve function' },
  ])
  expect(found.reported).toEqual(['quotes user data'])
})
