import { expect, test } from '../support/e2e'

const USER = 'ann'

test('only the tab that leads listens', async ({ world }) => {
  const first = await world.open(USER)
  await world.proxy.until(({ openStreams }) => openStreams.length === 1)
  const second = await world.open(USER)
  await second.app.evaluate((m) => m.putNote('a'))
  await world.stored(({ records }) => records.length === 1)
  expect(world.proxy.streams).toHaveLength(1)

  await first.page.close()
  await second.app.evaluate((m) => m.until({ isLeader: true }))
  await world.proxy.until(
    ({ streams, openStreams }) => streams.length === 2 && openStreams.length === 1,
  )
})

test("another user's sign-in closes the stream, as does signing out (SEC14)", async ({ world }) => {
  const { app } = await world.open(USER)
  await world.proxy.until(({ openStreams }) => openStreams.length === 1)
  await app.evaluate((m) => m.initAutoSync('bob'))
  await world.proxy.until(({ openStreams }) => openStreams.every(({ user }) => user === 'bob'))
  await world.proxy.until(({ openStreams }) => openStreams.length === 1)
  await app.evaluate((m) => m.initAutoSync(null))
  await world.proxy.until(({ openStreams }) => openStreams.length === 0)
})

test('a stream ends with its token, and is opened with a new one (SEC14)', async ({ world }) => {
  // The server's clock and ours may be 30 s apart: such a token is good for 4 s.
  world.token = ({ userId }) => world.server.token(userId, { lifetimeSeconds: -26 })
  const { app } = await world.open(USER)
  await world.proxy.until(({ openStreams }) => openStreams.length === 1)
  world.token = ({ userId }) => world.server.token(userId)
  await world.proxy.until(({ streams: [first] }) => first?.endedAt !== undefined)
  await world.proxy.until(({ openStreams }) => openStreams.length === 1)
  expect(world.proxy.streams.map(({ status }) => status)).toEqual([200, 200])
  // It was no failure, and nobody was asked to sign in.
  expect(await app.evaluate((m) => m.statuses.map(({ phase }) => phase))).not.toContain(
    'needs-auth',
  )
  expect(await app.evaluate((m) => m.status())).toMatchObject({ consecutiveFailures: 0 })
})

test('what was missed while there was no network comes with it', async ({ world }) => {
  const { app: here } = await world.open(USER)
  const device = await world.device()
  const { app: there } = await device.open(USER)
  await world.proxy.until(({ openStreams }) => openStreams.length === 2)
  await device.online(false)
  await there.evaluate((m) => m.until({ phase: 'offline' }))
  await here.evaluate((m) => m.putNote('a', { n: 1 }))
  await world.stored(({ records }) => records.length === 1)
  expect(await there.evaluate((m) => m.read('notes', 'a'))).toBeUndefined()
  const arrived = there.evaluate((m) => m.untilRecord('notes', 'a', { id: 'a', n: 1 }))
  await device.online(true)
  await arrived
})

test('a server that is restarted is listened to again', async ({ world }) => {
  const { app: here } = await world.open(USER)
  const { app: there } = await (await world.device()).open(USER)
  await world.proxy.until(({ openStreams }) => openStreams.length === 2)
  await world.server.stop()
  await world.proxy.until(({ openStreams }) => openStreams.length === 0)
  await world.server.start()
  await world.proxy.until(({ openStreams }) => openStreams.length === 2)
  const arrived = there.evaluate((m) => m.untilRecord('notes', 'a', { id: 'a', n: 1 }))
  await here.evaluate((m) => m.putNote('a', { n: 1 }))
  await arrived
})
