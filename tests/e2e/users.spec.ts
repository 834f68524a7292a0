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
