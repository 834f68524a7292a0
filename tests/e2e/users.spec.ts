import { expect, test } from '../support/e2e'

test("a user's changes that wait are never sent as the next user's", async ({ world }) => {
  const { app } = await world.open('ann', { timing: { bufferMs: 600_000 } })
  await app.evaluate(async (m) => {
    await m.putNotes(5, 'ann')
    await m.initAutoSync('bob')
    await m.until({ userId: 'bob' })
    await m.putNotes(2, 'bob')
    await m.forceSync()
    await m.triggerBackup()
  })
  for (const { body } of world.proxy.pushes) {
    expect(body.subject === 'ann' ? [] : body.ops.map(({ rid }) => rid)).not.toContain('sann0')
  }
  const asBob = await world.server.docs('bob', 'notes')
  expect([...asBob.keys()].filter((rid) => rid.startsWith('sann'))).toEqual([])

  await app.evaluate(async (m) => {
    await m.initAutoSync('ann')
    await m.until({ userId: 'ann' })
    await m.forceSync()
  })
  expect([...(await world.server.docs('ann', 'notes')).keys()]).toEqual([
    'sann0',
    'sann1',
    'sann2',
    'sann3',
    'sann4',
  ])
  const { records } = await world.server.state()
  expect(records.filter(({ space, rid }) => space === '~ann' && rid.startsWith('sbob'))).toEqual([])
})

test('a switch in the middle of a sync sends nothing more of the first user', async ({ world }) => {
  const { app } = await world.open('ann', { batch: { operations: 10 } })
  let release: () => void = () => undefined
  const until = new Promise<void>((resolve) => {
    release = resolve
  })
  world.proxy.script((n) =>
    n === 2 ? { is: 'hold', until, next: { is: 'forward' } } : { is: 'forward' },
  )
  await app.evaluate((m) => m.putNotes(40, 'ann'))
  await world.proxy.until(({ pushes }) => pushes.length === 2)
  await app.evaluate(async (m) => {
    await m.initAutoSync('bob')
    await m.until({ userId: 'bob' })
  })
  release()
  await app.evaluate((m) => m.putNote('of bob'))
  await app.evaluate((m) => m.forceSync())
  expect(world.proxy.pushes.slice(2).every(({ body }) => body.subject === 'bob')).toBe(true)
  expect((await world.server.docs('bob', 'notes')).size).toBeLessThanOrEqual(1)

  await app.evaluate(async (m) => {
    await m.initAutoSync('ann')
    await m.until({ userId: 'ann' })
    await m.forceSync()
  })
  expect((await world.server.docs('ann', 'notes')).size).toBe(40)
  expect((await world.server.state()).versions.get('~ann')).toBe(40)
})

test('what is written before anyone signs in waits, and is adopted only where that is set', async ({
  world,
}) => {
  const { page, app } = await world.open(null)
  await app.evaluate((m) => m.putNotes(3, 'nobody'))
  expect(world.proxy.pushes).toHaveLength(0)
  await app.evaluate(async (m) => {
    await m.initAutoSync('ann')
    await m.putNote('of ann')
    await m.forceSync()
  })
  expect([...(await world.server.docs('ann', 'notes')).keys()]).toEqual(['sof ann'])
  expect(await app.evaluate((m) => m.status())).toMatchObject({ userId: 'ann' })

  const again = await world.open('ann', { adoptAnonymous: true }, page)
  await again.app.evaluate((m) => m.forceSync())
  expect((await world.server.docs('ann', 'notes')).size).toBe(4)
})

test('what the first user has adopted stays theirs when another signs in', async ({ world }) => {
  const { app } = await world.open(null, { adoptAnonymous: true, enabled: false })
  const synced = await app.evaluate(async (m) => {
    await m.putNotes(3, 'nobody')
    await m.initAutoSync('ann')
    await m.until({ userId: 'ann', pending: 3 })
    await m.initAutoSync('bob')
    await m.until({ userId: 'bob', pending: 0, waiting: 3 })
    await m.forceSync()
    await m.initAutoSync('ann')
    await m.until({ userId: 'ann', pending: 3 })
    return m.forceSync()
  })
  expect(synced).toBe(true)
  expect((await world.server.docs('bob', 'notes')).size).toBe(0)
  expect((await world.server.docs('ann', 'notes')).size).toBe(3)
})

test('calls while nobody is signed in are answered: nothing is confirmed', async ({ world }) => {
  const { app } = await world.open(null)
  const answers = await app.evaluate((m) =>
    Promise.all([m.forceSync(), m.triggerBackup(), m.restore()]),
  )
  expect(answers).toEqual([false, false, false])
  const second = await world.open(null)
  expect(await second.app.evaluate((m) => m.forceSync())).toBe(false)
})

test('a user that is no text is refused, and a row that names one holds up nothing', async ({
  world,
}) => {
  const { app } = await world.open('ann')
  const refused = await app.evaluate(async (m) => {
    const codes: unknown[] = []
    for (const user of [42, '', {}]) {
      await m.initAutoSync(user as never).catch((error) => codes.push(error.code))
    }
    return codes
  })
  expect(refused).toEqual(Array(3).fill('invalid-user'))

  await app.evaluate(async (m) => {
    m.stopAutoSync()
    await m.putNote('theirs')
    await m.renameWriter('notes', 42)
    await m.initAutoSync('ann')
    await m.putNote('mine')
  })
  await world.stored(({ records }) => records.length === 1)
  expect([...(await world.server.docs('ann', 'notes')).keys()]).toEqual(['smine'])
})

test('a tab that does not know its user yet signs nobody out', async ({ world }) => {
  const { app } = await world.open('ann', { timing: { bufferMs: 600_000 } })
  const unknown = await world.open(null)
  await unknown.app.evaluate((m) => m.until({ userId: 'ann' }))
  const confirmed = await app.evaluate(async (m) => {
    await m.putNote('mine')
    return m.forceSync()
  })
  expect(confirmed).toBe(true)
  expect((await world.server.docs('ann', 'notes')).size).toBe(1)
})

test('who signed in last is synced by whichever tab leads, and a call is for whom its tab shows', async ({
  world,
}) => {
  const first = await world.open('ann')
  await first.app.evaluate((m) => m.until({ isLeader: true, isInitialized: true }))
  const second = await world.open('ann')
  const third = await world.open('bob')
  await first.app.evaluate((m) => m.until({ userId: 'bob' }))
  await first.page.close()
  await Promise.race([
    second.app.evaluate((m) => m.until({ isLeader: true })),
    third.app.evaluate((m) => m.until({ isLeader: true })),
  ])

  expect(await third.app.evaluate((m) => m.until({ userId: 'bob' }))).toMatchObject({ waiting: 0 })
  await third.app.evaluate((m) => m.putNote('of bob'))
  expect(await third.app.evaluate((m) => m.forceSync())).toBe(true)
  expect((await world.server.docs('bob', 'notes')).size).toBe(1)
  await second.app.evaluate((m) => m.putNote('of ann'))
  expect(await second.app.evaluate((m) => m.forceSync())).toBe(false)
  expect((await world.server.docs('ann', 'notes')).size).toBe(0)
})
