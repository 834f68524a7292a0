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

test.describe('a full disk', () => {
  test.use({ profile: 'disk' })

  test('is told in the status, and nothing is lost once there is room again', async ({ world }) => {
    const { page, app } = await world.open(USER, { timing: { bufferMs: 600_000 } })
    await app.evaluate((m) => m.putNotes(50))
    const session = await world.context.newCDPSession(page)
    const origin = world.origin.url
    await session.send('Storage.overrideQuotaForOrigin', { origin, quotaSize: 2_000_000 })
    const stored = await app.evaluate((m) => m.fillDisk())
    const pending = 50 + stored.length

    expect(await app.evaluate((m) => m.forceSync())).toBe(false)
    expect(await app.evaluate((m) => m.status())).toMatchObject({ storage: 'full', pending })

    await session.send('Storage.overrideQuotaForOrigin', { origin })
    expect(await app.evaluate((m) => m.forceSync())).toBe(true)
    expect(await app.evaluate((m) => m.status())).toMatchObject({ storage: 'ok', pending: 0 })
    const docs = await world.server.docs(USER, 'notes')
    expect(docs.size).toBe(pending)
    expect(stored.filter((id) => !docs.has(`s${id}`))).toEqual([])
    expect((await world.server.state()).versions.get(`~${USER}`)).toBe(pending)
  })
})
