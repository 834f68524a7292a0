import { expect, test } from '../support/e2e'

const PREFIX = 'Auto-sync service:'

/** A sync runs when the test asks for one. */
const BY_HAND = { live: false, timing: { bufferMs: 3_600_000, throttleMs: 0 } }

test('the four documented lines stand in the log word for word (R090–R093)', async ({ world }) => {
  const { app } = await world.open('ann', BY_HAND)
  await app.evaluate(async (m) => {
    await m.putNotes(7)
    await m.forceSync()
  })
  expect(await documented(app)).toEqual([
    `info ${PREFIX} Event listeners set up`,
    `info ${PREFIX} Syncing 7 changes to cloud...`,
    `info ${PREFIX} Sync completed successfully`,
  ])

  await world.server.stop()
  await app.evaluate(async (m) => {
    m.lines.length = 0
    await m.putNotes(3, 'more')
    await m.forceSync()
    await m.forceSync()
  })
  expect(await documented(app)).toEqual([
    `info ${PREFIX} Syncing 3 changes to cloud...`,
    `warn ${PREFIX} Sync failed (1/5): the server could not be reached`,
    `info ${PREFIX} Syncing 3 changes to cloud...`,
    `warn ${PREFIX} Sync failed (2/5): the server could not be reached`,
  ])
})

function documented(app: import('../support/e2e').App): Promise<string[]> {
  return app.evaluate((m) => m.lines.filter((line) => line.includes('Auto-sync service:')))
}
