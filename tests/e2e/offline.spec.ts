import { type App, expect, test, type World } from '../support/e2e'

const USER = 'ann'
const EDITS = 1_000
/** Three devices come online in this order, and all find the same in the end. */
const ORDERS = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
] as const

interface Device {
  readonly world: World
  readonly app: App
}

/** Edits of any kind, of records that all devices have and of new ones, the same for the same seed. */
async function editMuch(app: App, seed: number): Promise<void> {
  await app.evaluate(
    async (m, [first, edits]) => {
      let state = first
      const below = (limit: number) => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
        return state % limit
      }
      for (let edit = 0; edit < edits; edit++) {
        const id = `k${below(200)}`
        const known = (await m.read('notes', id)) as object | undefined
        if (known !== undefined && below(10) === 0) {
          await m.write({ do: 'delete', store: 'notes', key: id })
        } else {
          const field = `f${below(5)}`
          await m.write({ do: 'put', store: 'notes', value: { id, ...known, [field]: state } })
        }
      }
    },
    [seed, EDITS] as const,
  )
}

async function sync({ app }: Device): Promise<void> {
  await app.evaluate((m) => m.until({ isOnline: true }))
  expect(await app.evaluate((m) => m.forceSync())).toBe(true)
}

test('three devices, offline for 1,000 edits each, come out equal in every order', async ({
  world,
}) => {
  const quiet = { live: false, timing: { bufferMs: 3_600_000, throttleMs: 0 } }
  const worlds = [world, await world.device(), await world.device()]
  const devices: Device[] = []
  for (const each of worlds) {
    const { app } = await each.open(USER, quiet)
    devices.push({ world: each, app })
  }
  for (const [round, order] of ORDERS.entries()) {
    await Promise.all(worlds.map((each) => each.online(false)))
    await Promise.all(devices.map(({ app }, at) => editMuch(app, 10 * round + at)))
    const inOrder = order.flatMap((at) => devices[at] ?? [])
    for (const device of inOrder) {
      await device.world.online(true)
      await sync(device)
    }
    for (const device of inOrder) await sync(device)

    const docs = await world.server.docs(USER, 'notes')
    const expected = [...docs].map(([rid, value]) => [rid.slice(1), value] as const).sort()
    expect(expected.length).toBeGreaterThan(50)
    for (const { app } of devices) {
      const found = (await app.evaluate((m) => m.readAll('notes'))) as [string, unknown][]
      expect(found.sort(), `order ${order}`).toEqual(expected)
      expect(await app.evaluate((m) => m.status())).toMatchObject({ pending: 0, held: 0 })
      expect(await app.evaluate((m) => m.rawEntries('tidesync.log.notes'))).toEqual([])
    }
  }
})
