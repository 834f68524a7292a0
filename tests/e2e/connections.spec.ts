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

test('what is switched off is not sent, and goes when it is switched on', async ({ world }) => {
  const { app } = await world.open('ann')
  await app.evaluate(async (m) => {
    await m.setAutoSyncEnabled(false)
    await m.until({ phase: 'disabled', disabledReason: 'user' })
    await m.putNote('kept')
  })
  expect(await app.evaluate((m) => m.until({ pending: 1 }))).toMatchObject({
    isEnabled: false,
    hasPendingSync: true,
  })
  expect(world.proxy.pushes).toHaveLength(0)
  await app.evaluate((m) => m.setAutoSyncEnabled(true))
  await world.stored(({ records }) => records.length === 1)
})

test('a browser that asks for privacy is obeyed where the app says so', async ({ world }) => {
  const page = await world.context.newPage()
  await page.addInitScript(() =>
    Object.defineProperty(navigator, 'globalPrivacyControl', { value: true }),
  )
  const { app } = await world.open('ann', { respectPrivacySignals: 'all' }, page)
  expect(
    await app.evaluate(async (m) => {
      await m.putNote('private')
      return { confirmed: await m.forceSync(), ...m.status() }
    }),
  ).toMatchObject({ confirmed: false, phase: 'disabled', disabledReason: 'privacy' })
  expect(await app.evaluate((m) => m.loggedKeys('notes'))).toEqual(['private'])
  expect(world.proxy.pushes).toHaveLength(0)
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
