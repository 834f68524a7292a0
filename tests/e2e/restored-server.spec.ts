import { expect, test } from '../support/e2e'

const USER = 'ann'

test('a server restored from an older copy gets back what it lost, and no device loses anything (F46)', async ({
  world,
}) => {
  const laptop = await world.open(USER)
  const { app: phone } = await (await world.device()).open(USER)
  await laptop.app.evaluate((m) => m.putNotes(5, 'old'))
  await world.stored(({ records }) => records.length === 5)
  await phone.evaluate((m) => m.untilCount('notes', 5))

  await world.server.stop()
  await world.server.backUp()
  await world.server.start()
  await laptop.app.evaluate(async (m) => {
    await m.putNotes(5, 'new')
    await m.putNote('old0', { text: 'edited' })
    await m.write({ do: 'delete', store: 'notes', key: 'old1' })
    await m.forceSync()
  })
  await phone.evaluate((m) => m.untilRecord('notes', 'old0', { id: 'old0', text: 'edited' }))
  await phone.evaluate((m) => m.untilCount('notes', 9))
  const before = await world.server.docs(USER, 'notes')
  expect(before.size).toBe(9)

  await world.server.stop()
  await world.server.restoreCopy()
  expect((await world.server.docs(USER, 'notes')).size).toBe(5)
  await world.server.start()
  // Whichever of the two comes first makes it whole; a write of each brings both.
  await laptop.app.evaluate((m) => m.putNote('laptop'))
  await phone.evaluate((m) => m.putNote('phone'))
  const whole = new Map([...before, ...notes('laptop', 'phone')])
  await world.stored(({ records }) => records.filter((it) => !it.deleted).length === whole.size)
  expect(await world.server.docs(USER, 'notes')).toEqual(whole)
  for (const app of [laptop.app, phone]) {
    await app.evaluate((m) => m.untilCount('notes', 11))
    await app.evaluate((m) => m.until({ pending: 0, phase: 'idle' }))
    expect(await app.evaluate((m) => m.read('notes', 'old1'))).toBeUndefined()
    expect(await app.evaluate((m) => m.read('notes', 'old0'))).toMatchObject({ text: 'edited' })
  }
})

function notes(...ids: string[]): [string, unknown][] {
  return ids.map((id) => [`s${id}`, { id }])
}
