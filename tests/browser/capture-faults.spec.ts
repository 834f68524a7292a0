import { openModule } from '../support/page'
import { expect, test } from '../support/test'

type Fixture = typeof import('./fixtures/capture')

test.use({ entry: 'tests/browser/fixtures/capture.ts', profile: 'disk' })

test('two tabs write at once and each log holds all of it', async ({ context, page, origin }) => {
  const first = await openModule<Fixture>(page, origin)
  const second = await openModule<Fixture>(await context.newPage(), origin)
  await first.evaluate((m) => m.openTracked('app'))
  const write = async (m: Fixture, offset: number): Promise<void> => {
    const db = await m.openTracked('app')
    for (let id = offset; id < offset + 40; id += 1) {
      await m.inTransaction(db, 'inline', (tx) => tx.objectStore('inline').put({ id }))
    }
  }
  await Promise.all([first.evaluate(write, 0), second.evaluate(write, 100)])
  const result = await first.evaluate(async (m) => {
    const db = await m.openTracked('app')
    const rows = await m.readLog(db, 'inline')
    const keys = await m.done(db.transaction('inline').objectStore('inline').getAllKeys())
    const logged = m.operationsOf(rows).map(({ key }) => key as number)
    return {
      keys,
      logged: logged.sort((a, b) => a - b),
      pages: new Set(rows.map((r) => r.inc)).size,
    }
  })
  expect(result.keys).toHaveLength(80)
  expect(result.logged).toEqual(result.keys)
  expect(result.pages).toBe(2)
})

test('a page that crashes while it writes leaves a log that equals the store (I1)', async ({
  context,
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const enough = new Promise<void>((resolve) => {
    void page
      .exposeFunction('enough', () => resolve())
      .then(() =>
        app
          .evaluate(async (m) => {
            const db = await m.openTracked('app')
            const { enough: tell } = globalThis as unknown as { enough: () => void }
            for (let id = 0; ; id += 3) {
              if (id === 90) tell()
              await m.inTransaction(db, 'inline', (tx) => {
                for (const more of [0, 1, 2]) tx.objectStore('inline').put({ id: id + more })
              })
            }
          })
          .catch(() => undefined),
      )
  })
  await enough
  const session = await context.newCDPSession(page)
  const crashed = page.waitForEvent('crash')
  void session.send('Page.crash').catch(() => undefined)
  await crashed
  const again = await openModule<Fixture>(await context.newPage(), origin)
  const { keys, logged } = await again.evaluate(async (m) => {
    const db = await m.openTracked('app', false)
    const operations = await m.readOperations(db, 'inline')
    return {
      keys: await m.done(db.transaction('inline').objectStore('inline').getAllKeys()),
      logged: operations.map(({ key }) => key),
    }
  })
  expect(keys.length).toBeGreaterThanOrEqual(90)
  expect(keys.length % 3).toBe(0)
  expect(logged).toEqual(keys)
})

test('a full disk aborts the write and its log row together, and nobody is told of it', async ({
  context,
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  await app.evaluate((m) => m.openTracked('app'))
  const session = await context.newCDPSession(page)
  await session.send('Storage.overrideQuotaForOrigin', { origin: origin.url, quotaSize: 2_000_000 })
  const result = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    let told = 0
    m.onCommit(() => {
      told += 1
    })
    const manager = new m.StorageManager(db)
    let written = 0
    let code = ''
    while (code === '') {
      const record = { id: written, text: 'x'.repeat(10_000) }
      await manager
        .bulkPut(
          'inline',
          Array.from({ length: 10 }, (_, n) => ({ ...record, id: written + n })),
        )
        .then(
          () => {
            written += 10
          },
          (error: InstanceType<typeof m.TidesyncError>) => {
            code = error.code
          },
        )
    }
    const keys = await m.done(db.transaction('inline').objectStore('inline').getAllKeys())
    const logged = (await m.readOperations(db, 'inline')).map(({ key }) => key)
    return { code, written, told, keys, same: JSON.stringify(keys) === JSON.stringify(logged) }
  })
  expect(result.code).toBe('storage-full')
  expect(result.keys).toHaveLength(result.written)
  expect(result.told).toBe(result.written / 10)
  expect(result.same).toBe(true)
})
