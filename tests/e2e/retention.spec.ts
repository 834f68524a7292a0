import { expect, test } from '../support/e2e'

const USER = 'ann'

test('a device that was offline for a year comes out equal, and what it wrote is sent (F47)', async ({
  world,
}) => {
  const { app: laptop } = await world.open(USER)
  const away = await world.device()
  const { app: phone } = await away.open(USER)
  await laptop.evaluate((m) => m.putNotes(5, 'old'))
  await phone.evaluate((m) => m.untilCount('notes', 5))

  await away.online(false)
  await phone.evaluate(async (m) => {
    await m.putNote('old0', { text: 'by the phone' })
    await m.putNote('fresh')
  })
  await laptop.evaluate(async (m) => {
    await m.putNote('old2', { text: 'by the laptop' })
    await m.write({ do: 'delete', store: 'notes', key: 'old1' })
    await m.forceSync()
  })
  await world.server.stop()
  await world.server.age(400)
  await world.server.start()
  await expect.poll(async () => (await world.server.state()).records.length).toBe(4)
  await expect.poll(async () => (await world.server.state()).operations.length).toBe(0)

  await away.online(true)
  const whole = new Map<string, unknown>([
    ['sold0', { id: 'old0', text: 'by the phone' }],
    ['sold2', { id: 'old2', text: 'by the laptop' }],
    ...['old3', 'old4'].map((id): [string, unknown] => [`s${id}`, { id, text: id }]),
    ['sfresh', { id: 'fresh' }],
  ])
  await phone.evaluate((m) => m.until({ pending: 0, phase: 'idle', isOnline: true }))
  await laptop.evaluate((m) => m.forceSync())
  expect(await world.server.docs(USER, 'notes')).toEqual(whole)
  for (const app of [laptop, phone]) {
    await app.evaluate((m) => m.untilCount('notes', 5))
    expect(await app.evaluate((m) => m.read('notes', 'old1'))).toBeUndefined()
    expect(await app.evaluate((m) => m.read('notes', 'old0'))).toMatchObject({
      text: 'by the phone',
    })
  }
  expect(await phone.evaluate((m) => m.read('notes', 'old2'))).toMatchObject({
    text: 'by the laptop',
  })
})
