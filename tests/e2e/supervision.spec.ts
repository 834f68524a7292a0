import { expect, test } from '../support/e2e'
import { FATAL_MS, trappingEngine } from '../support/trapping-engine'

const USER = 'ann'

test.beforeEach(async ({ world }) => {
  const body = await trappingEngine()
  await world.context.route('**/tidesync_bg.wasm', (route) =>
    route.fulfill({ body, contentType: 'application/wasm' }),
  )
})

test('an engine that dies is started again: what was written before, then and after arrives once', async ({
  world,
}) => {
  const { app } = await world.open(USER)
  for (const strike of [1, 2]) {
    await app.evaluate((m, before) => m.putNotes(5, before), `before${strike}-`)
    expect(await app.evaluate((m, ms) => m.turnAt(ms), FATAL_MS)).toBe(false)
    await app.evaluate((m, after) => m.putNotes(5, after), `after${strike}-`)
    await world.stored(({ records }) => records.length === strike * 10)
  }

  const deaths = await app.evaluate((m) => m.lines.filter((line) => line.includes('failed (')))
  expect(deaths).toEqual([
    'error Tidesync: the engine failed (1/3)',
    'error Tidesync: the engine failed (2/3)',
  ])
  const { operations } = await world.server.state()
  expect(operations).toHaveLength(20)
})

test('the third time it stays dead: calls end, capture and the app go on, and a reload syncs all', async ({
  world,
}) => {
  const { page, app } = await world.open(USER)
  await app.evaluate((m) => m.putNotes(5, 'before'))
  await app.evaluate((m) => m.until({ pending: 0, phase: 'idle' }))
  const pushes = world.proxy.pushes.length
  for (let strike = 1; strike <= 3; strike += 1) {
    expect(await app.evaluate((m, ms) => m.turnAt(ms), FATAL_MS)).toBe(false)
  }

  const failed = await app.evaluate((m) => m.until({ phase: 'engine-failed' }))
  expect(failed.lastError?.code).toBe('engine-failed')
  await app.evaluate((m) => m.putNotes(5, 'after'))
  expect(await app.evaluate((m) => m.loggedKeys('notes'))).toHaveLength(5)
  expect(await app.evaluate((m) => m.forceSync())).toBe(false)
  expect(world.proxy.pushes).toHaveLength(pushes)

  const again = await world.open(USER, {}, page)
  await again.app.evaluate((m) => m.until({ pending: 0, phase: 'idle' }))
  expect((await world.server.docs(USER, 'notes')).size).toBe(10)
})
