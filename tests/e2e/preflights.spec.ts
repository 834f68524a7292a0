import { expect, test } from '../support/e2e'

test('a page asks once for permission to push, and then pushes', async ({ world }) => {
  const { app } = await world.open('ann')
  for (let n = 0; n < 5; n += 1) {
    await app.evaluate(async (m, id) => {
      await m.putNote(id, { text: 'x' })
      await m.until({ pending: 0, phase: 'idle' })
    }, `note ${n}`)
  }
  expect(world.proxy.pushes.length).toBeGreaterThanOrEqual(5)
  const asked = world.proxy.preflights.filter((path) => path === '/api/sync/push')
  expect(asked).toHaveLength(1)
})
