import { expect, test } from '../support/e2e'

test('closing an old connection of a database leaves sync of the live one running', async ({
  world,
}) => {
  const { app } = await world.open('ann')
  await app.evaluate(async (m) => {
    const old = m.db()
    await m.openApp()
    m.attachApp()
    old.close()
    await m.putNote('after')
  })
  await world.stored(({ records }) => records.length === 1)
})

test('a database that is closed and opened again is synced again', async ({ world }) => {
  const { app } = await world.open('ann')
  await app.evaluate(async (m) => {
    m.closeApp()
    await m.openApp()
    m.attachApp()
    await m.putNote('again')
  })
  await world.stored(({ records }) => records.length === 1)
})

test('a tab that joins under another user is heard by the tab that leads', async ({ world }) => {
  const ann = await world.open('ann')
  await ann.app.evaluate((m) => m.until({ isLeader: true, isInitialized: true }))
  const bob = await world.open('bob')
  await bob.app.evaluate((m) => m.putNote('his'))
  await world.stored(({ records }) => records.length === 1)
  expect((await world.server.docs('bob', 'notes')).size).toBe(1)
  expect((await world.server.docs('ann', 'notes')).size).toBe(0)
})

test('a database that tracks what the configuration does not name is refused', async ({
  world,
}) => {
  const { app } = await world.load()
  const code = await app.evaluate(async (m, url) => {
    await m.openApp()
    m.configure({ url, options: { tables: { notes: {} } } })
    return m.attachFailure()
  }, world.proxy.url)
  expect(code).toBe('unexpected-table')
})

test('an app that closes its database for an upgrade elsewhere has no sync and no issues until it opens it again', async ({
  world,
}) => {
  const { app } = await world.open('ann')
  const issues = await app.evaluate(async (m) => {
    await m.openApp({ version: 3 })
    return m.listSyncIssues()
  })
  expect(issues).toEqual([])
  await app.evaluate(async (m) => {
    m.attachApp()
    await m.putNote('after')
  })
  await world.stored(({ records }) => records.length === 1)
})
