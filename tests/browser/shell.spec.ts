import { openModule } from '../support/page'
import { expect, test } from '../support/test'

type Fixture = typeof import('./fixtures/shell')

test.use({ entry: 'tests/browser/fixtures/shell.ts' })

test('a captured change is staged in the transaction that consumes its log row', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const found = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    m.attach(db).user = 'ann'
    await m.inTransaction(db, 'outside', (tx) => tx.objectStore('outside').put({ n: 1 }, 'a'))
    const leading = await m.lead('app')
    const ok = await leading.sync()
    await leading.until(({ statuses }) => statuses.at(-1)?.phase === 'needs-auth')
    leading.shell.stop()
    return {
      ok,
      log: await m.readLog(db, 'outside'),
      staged: await m.entriesOf(db, 'tidesync.staged'),
    }
  })
  expect(found.ok).toBe(false)
  expect(found.log).toEqual([])
  expect(found.staged).toHaveLength(1)
  const [[, batch]] = found.staged as [[unknown, { texts: string[] }]]
  expect(batch.texts).toHaveLength(1)
  expect(JSON.parse(batch.texts[0] ?? '')).toMatchObject({ rid: 'sa', value: { n: 1 } })
})

test('a late leader writes nothing', async ({ page, origin }) => {
  const app = await openModule<Fixture>(page, origin)
  const found = await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    m.attach(db).user = 'ann'
    const ready = ({ statuses }: InstanceType<typeof m.Leading>) =>
      statuses.at(-1)?.isInitialized === true
    const late = await m.lead('app')
    await late.until(ready)
    const leader = await m.lead('app')
    await leader.until(ready)
    await m.inTransaction(db, 'outside', (tx) => tx.objectStore('outside').put(1, 'a'))
    const [[, before]] = (await m.entriesOf(db, 'tidesync.meta')) as [[unknown, { fence: number }]]
    late.shell.handle({ type: 'forceSync', call: 1 })
    await late.until(({ closed }) => closed > 0)
    leader.shell.stop()
    const [[, after]] = (await m.entriesOf(db, 'tidesync.meta')) as [[unknown, { fence: number }]]
    return {
      fences: [before.fence, after.fence],
      log: (await m.readLog(db, 'outside')).length,
      staged: await m.entriesOf(db, 'tidesync.staged'),
    }
  })
  expect(found).toEqual({ fences: [2, 2], log: 1, staged: [] })
})

test('what a failed push leaves is sent as it was by the next leader', async ({ page, origin }) => {
  const app = await openModule<Fixture>(page, origin)
  await app.evaluate(async (m) => {
    const db = await m.openTracked('app')
    m.attach(db).user = 'ann'
    await m.inTransaction(db, 'outside', (tx) => tx.objectStore('outside').put({ n: 1 }, 'a'))
  })
  const attempt = (module: typeof app) =>
    module.evaluate(async (m) => {
      const db = await m.openTracked('app')
      const leading = await m.lead('app', 'token')
      const ok = await leading.sync()
      leading.shell.stop()
      const error = leading.statuses.at(-1)?.lastError?.code
      const staged = (await m.entriesOf(db, 'tidesync.staged')) as [number, { texts: string[] }][]
      return { ok, error, texts: staged.map(([, { texts }]) => texts) }
    })
  const first = await attempt(app)
  expect(first).toMatchObject({ ok: false, error: 'network' })
  expect(first.texts).toHaveLength(1)
  expect(await attempt(await openModule<Fixture>(page, origin))).toEqual(first)
})

test('a connection that was stopped, or is asked to close, blocks no upgrade', async ({
  page,
  origin,
}) => {
  const app = await openModule<Fixture>(page, origin)
  const versions = await app.evaluate(async (m) => {
    const db = await m.openTracked('app', false)
    const stopped = new m.PlayedEngine('app')
    await stopped.load()
    const asked = new m.PlayedEngine('app')
    await asked.load()
    db.close()
    stopped.shell.stop()
    const upgraded = await m.openDatabase('app', 2, () => undefined)
    const outcome = await asked.commit(2, [])
    upgraded.close()
    return [upgraded.version, outcome]
  })
  expect(versions).toEqual([2, { Err: { kind: 'closed' } }])
})

test('an open that comes late is closed, and blocks no upgrade', async ({ page, origin }) => {
  await page.clock.install()
  const app = await openModule<Fixture>(page, origin)
  await app.evaluate(async (m) => {
    ;(await m.openTracked('app', false)).close()
  })
  // An upgrade that does not end holds back every other open.
  const upgrade = await app.evaluateHandle(async (m) => {
    let goesOn = true
    let running: () => void = () => undefined
    const begun = new Promise<void>((resolve) => {
      running = resolve
    })
    const upgraded = m.openDatabase('app', 2, (_, transaction) => {
      running()
      const again = () => {
        if (goesOn) transaction.objectStore('inline').count().onsuccess = again
      }
      again()
    })
    await begun
    const end = () => {
      goesOn = false
    }
    return { upgraded, end }
  })
  const outcome = app.evaluate((m) => new m.PlayedEngine('app').ask({ type: 'load' }))
  await page.clock.runFor(4_000)
  expect(await outcome).toEqual({ Err: { kind: 'closed' } })
  const version = await app.evaluate(async (m, { upgraded, end }) => {
    end()
    ;(await upgraded).close()
    // The open that came late is answered before this one.
    return (await m.openDatabase('app', 3, () => undefined)).version
  }, upgrade)
  expect(version).toBe(3)
})

test('a database that is gone is not made anew', async ({ page, origin }) => {
  const app = await openModule<Fixture>(page, origin)
  const found = await app.evaluate(async (m) => {
    const outcome = await new m.PlayedEngine('gone').ask({ type: 'load' })
    return [outcome, (await indexedDB.databases()).map(({ name }) => name)]
  })
  expect(found).toEqual([{ Err: { kind: 'closed' } }, []])
})

test('a database of a newer package is left alone', async ({ page, origin }) => {
  const app = await openModule<Fixture>(page, origin)
  const found = await app.evaluate(async (m) => {
    const db = await m.openTracked('app', false)
    const engine = new m.PlayedEngine('app')
    await engine.load()
    await m.inTransaction(db, 'tidesync.meta', (tx) =>
      tx.objectStore('tidesync.meta').put({ format: 2, fence: 7 }, 'meta'),
    )
    return [await engine.ask({ type: 'load' }), await m.entriesOf(db, 'tidesync.meta')]
  })
  expect(found).toEqual([{ Err: { kind: 'newer' } }, [['meta', { format: 2, fence: 7 }]]])
})
