import { expect, test } from '../support/e2e'

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

test('what the app switches off at the start sends nothing but by a call', async ({ world }) => {
  const { app } = await world.open('ann', { enabled: false })
  await app.evaluate(async (m) => {
    await m.until({ phase: 'disabled', disabledReason: 'user' })
    await m.putNote('kept')
    await m.until({ pending: 1 })
  })
  expect(world.proxy.pushes).toHaveLength(0)
  expect(await app.evaluate((m) => m.forceSync())).toBe(true)
  expect((await world.server.docs('ann', 'notes')).size).toBe(1)
})

test('what a predicate of the app skips starts no sync and travels with the next one', async ({
  world,
}) => {
  const { app } = await world.load()
  await app.evaluate(async (m, url) => {
    const skip = { when: ({ recordId }: { recordId?: unknown }) => recordId === 'draft' }
    await m.start({ url, user: 'ann', options: { skip, live: false } })
    await m.until({ phase: 'idle', isInitialized: true })
    await m.putNote('draft')
    await m.until({ pending: 1 })
  }, world.proxy.url)
  await app.evaluate((m) => m.putNote('letter'))
  await world.stored(({ records }) => records.length === 2)
  expect(world.proxy.pushes).toHaveLength(1)
})
