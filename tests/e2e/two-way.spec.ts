import { type App, expect, test, type World } from '../support/e2e'

const USER = 'ann'
/** Nothing is synced but when a test says so. */
const BY_HAND = { live: false, timing: { bufferMs: 3_600_000, throttleMs: 0 } }

async function sync(...apps: App[]): Promise<void> {
  for (const app of apps) expect(await app.evaluate((m) => m.forceSync())).toBe(true)
}

function note(app: App, id: string): Promise<unknown> {
  return app.evaluate((m, key) => m.read('notes', key), id)
}

async function listening(world: World): Promise<App> {
  const { app } = await world.open(USER)
  await app.evaluate((m) => m.listen())
  return app
}

test('what one device writes arrives in the tabs of another, told as remote and not captured', async ({
  world,
}) => {
  const here = await listening(world)
  const device = await world.device()
  const there = await listening(device)
  await there.evaluate((m) => m.until({ isLeader: true, isInitialized: true }))
  const second = await listening(device)
  await world.proxy.until(({ openStreams }) => openStreams.length === 2)

  const value = { id: 'a', text: 'one', when: 5 }
  const arrived = [there, second].map((app) =>
    app.evaluate((m, note) => m.untilRecord('notes', 'a', note), value),
  )
  await here.evaluate((m, note) => m.write({ do: 'put', store: 'notes', value: note }), value)
  await Promise.all(arrived)
  const gone = [there, second].map((app) =>
    app.evaluate((m) => m.untilRecord('notes', 'a', undefined)),
  )
  await here.evaluate((m) => m.write({ do: 'delete', store: 'notes', key: 'a' }))
  await Promise.all(gone)

  const told = { tableName: 'notes', recordId: 'a', origin: 'remote' }
  for (const app of [there, second]) {
    expect(await app.evaluate((m) => m.events)).toMatchObject([
      { ...told, operation: 'update' },
      { ...told, operation: 'delete' },
    ])
  }
  expect(await there.evaluate((m) => m.rawEntries('tidesync.log.notes'))).toEqual([])
  expect(await there.evaluate((m) => m.status())).toMatchObject({ pending: 0, held: 0 })
  // Nothing was sent back.
  expect((await world.server.state()).operations).toHaveLength(2)
})

test('changes of different fields both survive', async ({ world }) => {
  const { app: here } = await world.open(USER, BY_HAND)
  await here.evaluate((m) => m.putNote('a', { x: 1, y: 1 }))
  await sync(here)
  const { app: there } = await (await world.device()).open(USER, BY_HAND)
  await sync(there)
  await here.evaluate((m) => m.putNote('a', { x: 2, y: 1 }))
  await there.evaluate((m) => m.putNote('a', { x: 1, y: 2, z: 3 }))
  await sync(here, there, here)
  const both = { id: 'a', x: 2, y: 2, z: 3 }
  expect(await note(here, 'a')).toEqual(both)
  expect(await note(there, 'a')).toEqual(both)
  expect((await world.server.docs(USER, 'notes')).get('sa')).toEqual(both)
})

test('an object that was read before a pull, and is saved after it, reverts nothing', async ({
  world,
}) => {
  const { app: here } = await world.open(USER, BY_HAND)
  await here.evaluate((m) => m.putNote('a', { x: 1, y: 1 }))
  await sync(here)
  const { app: there } = await (await world.device()).open(USER, BY_HAND)
  await sync(there)
  await there.evaluate((m) => m.putNote('a', { x: 1, y: 2 }))
  await sync(there, here)
  expect(await note(here, 'a')).toEqual({ id: 'a', x: 1, y: 2 })

  await here.evaluate((m) => m.putNote('a', { x: 2, y: 1 }))
  await sync(here, there)
  const both = { id: 'a', x: 2, y: 2 }
  expect(await note(here, 'a')).toEqual(both)
  expect(await note(there, 'a')).toEqual(both)

  // Without a change of its own it is repaired, and nothing changes elsewhere.
  const { versions } = await world.server.state()
  await there.evaluate((m) => m.putNote('a', { x: 1, y: 2 }))
  await sync(there)
  expect(await note(there, 'a')).toEqual(both)
  expect((await world.server.state()).versions).toEqual(versions)
})

test('a pull neither hides nor reverts a change that waits', async ({ world }) => {
  const here = await listening(world)
  await here.evaluate((m) => m.putNote('a', { x: 1, y: 1 }))
  await here.evaluate((m) => m.until({ pending: 0, phase: 'idle' }))
  const { app: there } = await (await world.device()).open(USER)
  await there.evaluate((m) => m.untilRecord('notes', 'a', { id: 'a', x: 1, y: 1 }))

  let release: () => void = () => undefined
  const until = new Promise<void>((resolve) => {
    release = resolve
  })
  const pushes = world.proxy.pushes.length
  world.proxy.script((n) =>
    n === 1 ? { is: 'hold', until, next: { is: 'break' } } : { is: 'forward' },
  )
  await here.evaluate((m) => m.putNote('a', { x: 2, y: 1 }))
  await world.proxy.until((it) => it.pushes.length === pushes + 1)
  await there.evaluate((m) => m.putNote('a', { x: 1, y: 2 }))
  await world.stored(({ records }) => JSON.stringify(records[0]?.doc).includes('"y":2'))
  release()
  const both = { id: 'a', x: 2, y: 2 }
  await here.evaluate((m, value) => m.untilRecord('notes', 'a', value), both)
  await there.evaluate((m, value) => m.untilRecord('notes', 'a', value), both)
})

test('a device that has never seen anything gets everything, as does one that lost something', async ({
  world,
}) => {
  const { app: here } = await world.open(USER, BY_HAND)
  await here.evaluate((m) => m.putNotes(2_500))
  await sync(here)
  const { app: there } = await (await world.device()).open(USER, BY_HAND)
  expect(await there.evaluate((m) => m.restore())).toBe(true)
  expect(await there.evaluate((m) => m.readAll('notes'))).toHaveLength(2_500)
  expect(await there.evaluate((m) => m.status())).toMatchObject({ pending: 0, held: 0 })
  const progress = await there.evaluate((m) => m.statuses.map((it) => it.progress))
  expect(progress).toContainEqual(expect.objectContaining({ direction: 'download' }))

  // Removed behind capture's back: nobody wanted it removed.
  await there.evaluate(async (m) => {
    m.stopAutoSync()
    const raw = await m.openRaw()
    const transaction = raw.transaction('notes', 'readwrite')
    transaction.objectStore('notes').delete('n7')
    await m.completed(transaction)
    raw.close()
    await m.initAutoSync('ann')
  })
  expect(await note(there, 'n7')).toBeUndefined()
  expect(await there.evaluate((m) => m.restore())).toBe(true)
  expect(await note(there, 'n7')).toEqual({ id: 'n7', text: 'n7' })
  expect(await world.server.docs(USER, 'notes')).toHaveProperty('size', 2_500)
})

test('a reload in the middle of a first download goes on where it was', async ({ world }) => {
  const { app: here } = await world.open(USER, BY_HAND)
  await here.evaluate((m) => m.putNotes(2_500))
  await sync(here)
  const device = await world.device()
  const pulls = world.proxy.pulls.length
  world.proxy.scriptPulls((n) =>
    n === 2
      ? { is: 'hold', until: new Promise(() => undefined), next: { is: 'break' } }
      : { is: 'forward' },
  )
  const { page, app } = await device.load()
  await app.evaluate((m, url) => void m.start({ url, user: 'ann' }), world.proxy.url)
  await world.proxy.until((it) => it.pulls.length === pulls + 2)
  const before = await app.evaluate((m) => m.readAll('notes').then((all) => all.length))
  expect(before).toBeGreaterThan(0)
  expect(before).toBeLessThan(2_500)

  world.proxy.scriptPulls()
  const again = await device.open(USER, {}, page)
  await again.app.evaluate((m) => m.untilCount('notes', 2_500))
  await again.app.evaluate((m) => m.until({ pending: 0, phase: 'idle' }))
  // It asked for what was missing, not for all of it again.
  expect(world.proxy.pulls[pulls + 2]?.query.get('cursor')).toBeTruthy()
  expect((await world.server.state()).operations).toHaveLength(2_500)
})
