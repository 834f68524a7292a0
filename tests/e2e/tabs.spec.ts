import type { BrowserContext, Page } from '@playwright/test'
import { type App, expect, test } from '../support/e2e'

const USER = 'ann'

/**
 * Stops everything that runs in a page, timers, messages and locks' callbacks included; gives what lets
 * it go on. By the debugger: `Page.setWebLifecycleState` has no effect on pages that are kept visible.
 */
async function freeze(context: BrowserContext, page: Page): Promise<() => Promise<void>> {
  const session = await context.newCDPSession(page)
  await session.send('Debugger.enable')
  const paused = new Promise((resolve) => session.once('Debugger.paused', resolve))
  await session.send('Debugger.pause')
  // A pause begins with the next statement that runs.
  const running = session.send('Runtime.evaluate', { expression: '0' })
  await paused
  return async () => {
    await session.send('Debugger.disable')
    await running
  }
}

/** Has everything done that is to be done: a tab that is frozen in a transaction holds up all others. */
async function rest(app: App): Promise<void> {
  await app.evaluate(async (m) => {
    await m.forceSync()
    await m.until({ phase: 'idle' })
  })
}

/** Without pokes nothing begins by itself after a sync. */
const STILL = { live: false }

test('two tabs: both are captured, one leads, and the other takes over when it is closed', async ({
  world,
}) => {
  const first = await world.open(USER)
  await first.app.evaluate((m) => m.until({ isLeader: true, isInitialized: true }))
  const second = await world.open(USER)
  expect(await second.app.evaluate((m) => m.status())).toMatchObject({
    isLeader: false,
    isInitialized: true,
  })

  await first.app.evaluate((m) => m.putNote('first'))
  await second.app.evaluate((m) => m.putNote('second'))
  await world.stored(({ records }) => records.length === 2)
  expect(await first.app.evaluate((m) => m.tokenRequests.length)).toBeGreaterThan(0)
  expect(await second.app.evaluate((m) => m.tokenRequests.length)).toBe(0)

  await first.page.close()
  await second.app.evaluate((m) => m.until({ isLeader: true }))
  await second.app.evaluate((m) => m.putNote('third'))
  await world.stored(({ records }) => records.length === 3)
  const { operations, versions } = await world.server.state()
  expect(operations).toHaveLength(3)
  expect(versions.get(`~${USER}`)).toBe(3)
})

test('a call in a tab that does not lead is answered by the one that does', async ({ world }) => {
  await world.open(USER, { timing: { bufferMs: 600_000 } })
  const second = await world.open(USER, { timing: { bufferMs: 600_000 } })
  const confirmed = await second.app.evaluate(async (m) => {
    await m.putNote('mine')
    return m.forceSync()
  })
  expect(confirmed).toBe(true)
  expect((await world.server.docs(USER, 'notes')).size).toBe(1)
})

test('tabs that write at the same time lose and double nothing', async ({ world }) => {
  const tabs = [await world.open(USER), await world.open(USER), await world.open(USER)]
  await Promise.all(
    tabs.map(({ app }, tab) =>
      app.evaluate(async (m, prefix) => {
        for (let n = 0; n < 40; n++) await m.putNote(`${prefix}-${n}`)
      }, `t${tab}`),
    ),
  )
  await world.stored(({ records }) => records.length === 120)
  const { operations, versions } = await world.server.state()
  expect(operations).toHaveLength(120)
  expect(versions.get(`~${USER}`)).toBe(120)
})

test('eight tabs: one stream, one push at a time, and each hears of every change', async ({
  world,
}) => {
  const away = await (await world.device()).open(USER)
  const tabs: (typeof away)[] = []
  for (let opened = 0; opened < 8; opened += 1) tabs.push(await world.open(USER))
  await world.proxy.until(({ openStreams }) => openStreams.length === 2)

  await Promise.all(
    tabs.map(({ app }, tab) =>
      app.evaluate(async (m, prefix) => {
        for (let n = 0; n < 10; n += 1) await m.putNote(`${prefix}-${n}`)
        await m.forceSync()
      }, `tab${tab}`),
    ),
  )
  await world.stored(({ records }) => records.length === 80)
  const { pushes, streams } = world.proxy
  const overlap = pushes.filter(({ at }, push) => at < (pushes[push - 1]?.endedAt ?? 0))
  expect(overlap).toEqual([])
  expect(streams).toHaveLength(2)
  expect((await world.server.state()).operations).toHaveLength(80)

  const heard = tabs.map(({ app }) =>
    app.evaluate((m) => m.untilRecord('notes', 'news', { id: 'news' })),
  )
  await away.app.evaluate((m) => m.putNote('news'))
  await Promise.all(heard)
})

test('a frozen leader is replaced, and one that thaws can take over again', async ({ world }) => {
  const first = await world.open(USER, STILL)
  await first.app.evaluate((m) => m.until({ isLeader: true, isInitialized: true }))
  const second = await world.open(USER, STILL)
  await rest(first.app)
  const thaw = await freeze(world.context, first.page)

  await second.app.evaluate((m) => m.putNote('while frozen'))
  await second.app.evaluate((m) => m.until({ isLeader: true }))
  await world.stored(({ records }) => records.length === 1)

  await thaw()
  await first.app.evaluate((m) => m.until({ isLeader: false }))
  await first.app.evaluate((m) => m.putNote('thawed'))
  await world.stored(({ records }) => records.length === 2)

  await rest(second.app)
  const thawSecond = await freeze(world.context, second.page)
  await first.app.evaluate((m) => m.putNote('the other way round'))
  await first.app.evaluate((m) => m.until({ isLeader: true }))
  await world.stored(({ records }) => records.length === 3)
  const { operations, versions } = await world.server.state()
  expect(operations).toHaveLength(3)
  expect(versions.get(`~${USER}`)).toBe(3)
  await thawSecond()
})

test('a frozen leader is replaced by a tab that is looked at, which never says that its changes are synced', async ({
  world,
}) => {
  const first = await world.open(USER, STILL)
  await first.app.evaluate((m) => m.putNote('synced'))
  await first.app.evaluate((m) => m.until({ pending: 0, isInitialized: true }))
  const second = await world.open(USER, STILL)
  await rest(first.app)
  const thaw = await freeze(world.context, first.page)

  await second.app.evaluate((m) => m.show())
  await second.app.evaluate((m) => m.until({ isLeader: true, isInitialized: true }))
  await thaw()
  await first.app.evaluate((m) => m.until({ isLeader: false, isInitialized: true }))

  await rest(second.app)
  const thawSecond = await freeze(world.context, second.page)
  const status = await first.app.evaluate(async (m) => {
    await m.putNote('waits')
    return m.status()
  })
  expect(status).toMatchObject({ pending: 1, hasPendingSync: true })
  await thawSecond()
  await world.stored(({ records }) => records.length === 2)
})

test('a tab writes under the user whom it shows, whoever signs in elsewhere', async ({ world }) => {
  const first = await world.open(USER)
  await first.app.evaluate((m) => m.until({ isLeader: true, isInitialized: true }))
  const second = await world.open(USER)
  await second.app.evaluate(async (m) => {
    await m.initAutoSync('bob')
    await m.until({ userId: 'bob' })
  })
  await first.app.evaluate((m) => m.until({ userId: 'bob' }))

  await first.app.evaluate((m) => m.putNote('of ann'))
  await second.app.evaluate((m) => m.putNote('of bob'))
  await second.app.evaluate((m) => m.forceSync())
  const { records } = await world.server.state()
  expect(records.map(({ space, rid }) => [space, rid])).toEqual([['~bob', 'sof bob']])
})
