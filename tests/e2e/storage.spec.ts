import { expect, test } from '../support/e2e'

const USER = 'ann'

test('uninstallTidesync takes all of it out, and the app goes on', async ({ world }) => {
  const { app } = await world.open(USER)
  await app.evaluate(async (m) => {
    await m.putNotes(3)
    await m.until({ pending: 0, phase: 'idle' })
    m.stopAutoSync()
  })
  const stores = await app.evaluate((m) => m.uninstall(3))
  expect(stores.filter((name) => name.startsWith('tidesync'))).toEqual([])
  expect(await app.evaluate((m) => m.attachFailure())).toBe('not-installed')
  await app.evaluate((m) => m.putNote('after'))
  expect(await app.evaluate((m) => m.rawEntries('notes'))).toHaveLength(4)
  expect(await app.evaluate((m) => m.rawEntries('tidesync.log.notes'))).toEqual([])
  expect(world.proxy.pushes).toHaveLength(1)
})

test('an upgrade by another tab is not blocked by sync', async ({ world }) => {
  const first = await world.open(USER)
  await first.app.evaluate((m) => m.until({ isInitialized: true }))
  const second = await world.load()
  await second.app.evaluate((m) => m.openApp({ version: 3 }))
  await second.app.evaluate((m, url) => m.start({ url, user: 'ann' }), world.proxy.url)
  await second.app.evaluate(async (m) => {
    await m.putNote('in version 3')
    await m.until({ pending: 0, phase: 'idle', isLeader: true })
  })
  expect((await world.server.docs(USER, 'notes')).size).toBe(1)
})
