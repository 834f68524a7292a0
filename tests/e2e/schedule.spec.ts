import type { Page } from '@playwright/test'
import { type App, expect, test, type World } from '../support/e2e'

/**
 * The schedule at its documented defaults (R062–R068), in the page's virtual time: the page's clocks
 * and timers go on only when a test says so, while storage, network and server are real.
 */

const USER = 'ann'
const STEP_MS = 200

/** A page whose time stands still. It hears no pokes, whose pulls are syncs at times of their own. */
async function openInVirtualTime(world: World): Promise<{ page: Page; app: App }> {
  const page = await world.context.newPage()
  const start = Date.now()
  await page.clock.install({ time: start })
  await page.clock.pauseAt(start + 1_000)
  const { app } = await world.open(USER, { timing: {}, live: false }, page)
  return { page, app }
}

/** Lets time pass, in steps: storage and network take none of it, so each step waits for them. */
async function pass(page: Page, app: App, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= STEP_MS) {
    await page.clock.runFor(Math.min(left, STEP_MS))
    await app.evaluate((m) => m.untilQuiet())
  }
}

/** Jumps to a time at which, and not before, something is due. */
async function jump(page: Page, app: App, ms: number): Promise<void> {
  await page.clock.runFor(Math.max(ms - STEP_MS, 0))
  await pass(page, app, Math.min(ms, STEP_MS))
}

function now(app: App): Promise<number> {
  return app.evaluate(() => Date.now())
}

/** When syncs began, in ms after `since`: each asks for tokens in one instant of virtual time. */
async function syncTimes(app: App, since: number): Promise<number[]> {
  const times = await app.evaluate((m) => m.tokenRequests.map(({ at }) => at))
  return [...new Set(times)].map((at) => at - since)
}

test('50 edits in 10 s become one buffered sync and then throttled ones', async ({ world }) => {
  const { page, app } = await openInVirtualTime(world)
  const since = await now(app)
  for (let edit = 0; edit < 50; edit++) {
    await app.evaluate((m, n) => m.putNote(`n${n}`), edit)
    await pass(page, app, STEP_MS)
  }
  await pass(page, app, 10_000)

  const times = await syncTimes(app, since)
  expect(times).toHaveLength(3)
  for (const [index, due] of [2_000, 7_000, 12_000].entries()) {
    expect(times[index]).toBeGreaterThanOrEqual(due)
    expect(times[index]).toBeLessThanOrEqual(due + STEP_MS)
  }
  const sizes = world.proxy.pushes.map(({ body }) => body.ops.length)
  expect(sizes[0]).toBeGreaterThanOrEqual(10)
  expect((await world.server.docs(USER, 'notes')).size).toBe(50)
})

test('an edit each second for a minute is not starved', async ({ world }) => {
  const { page, app } = await openInVirtualTime(world)
  const since = await now(app)
  for (let edit = 0; edit < 60; edit++) {
    await app.evaluate((m, n) => m.putNote('same', { n }), edit)
    await pass(page, app, 1_000)
  }
  await pass(page, app, 10_000)

  const times = await syncTimes(app, since)
  const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0))
  expect(times[0]).toBeGreaterThanOrEqual(2_000)
  expect(times[0]).toBeLessThanOrEqual(3_000)
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(5_000)
  expect(Math.max(...gaps)).toBeLessThanOrEqual(8_000)
  const docs = await world.server.docs(USER, 'notes')
  expect(docs.get('ssame')).toEqual({ id: 'same', n: 59 })
})

test('changes of skipped tables start no sync and travel with the next one', async ({ world }) => {
  // What a stream tells is a reason to sync, and comes when the network brings it.
  const { page, app } = await openInVirtualTime(world)
  // The sync that follows the start is over.
  await jump(page, app, 10_000)
  await app.evaluate((m) => m.write({ do: 'put', store: 'checkpoints', value: { id: 'c' } }))
  await jump(page, app, 30_000)
  expect(world.proxy.pushes).toHaveLength(0)

  await app.evaluate((m) => m.putNote('n'))
  await pass(page, app, 2_000)
  await world.stored(({ records }) => records.length === 2)
  expect(world.proxy.pushes).toHaveLength(1)
  expect((await world.server.docs(USER, 'checkpoints')).size).toBe(1)
})

test('five failures pause auto-sync; one probe after 5 min, and everything is caught up', async ({
  world,
}) => {
  const { page, app } = await openInVirtualTime(world)
  await world.proxy.refuse()
  await app.evaluate((m) => m.putNote('first'))
  await pass(page, app, 2_000)

  const waits = [5_000, 10_000, 20_000, 40_000]
  for (const [index, wait] of waits.entries()) {
    const status = await app.evaluate((m) => m.status())
    expect(status).toMatchObject({
      phase: 'backing-off',
      consecutiveFailures: index + 1,
      isRetrying: true,
    })
    const left = (status.nextAttemptAt ?? 0) - (await now(app))
    expect(left).toBeGreaterThan(wait - 2 * STEP_MS)
    expect(left).toBeLessThanOrEqual(1.5 * wait)
    await jump(page, app, left)
  }

  const open = await app.evaluate((m) => m.status())
  expect(open).toMatchObject({
    phase: 'disabled',
    disabledReason: 'failures',
    consecutiveFailures: 5,
    isEnabled: false,
    pending: 1,
  })
  const recovery = (open.nextAttemptAt ?? 0) - (await now(app))
  expect(recovery).toBeGreaterThan(300_000 - 2 * STEP_MS)
  expect(recovery).toBeLessThanOrEqual(450_000)

  await app.evaluate((m) => m.putNotes(20, 'meanwhile'))
  await world.proxy.accept()
  await jump(page, app, recovery - 1_000)
  expect(world.proxy.pushes).toHaveLength(0)
  await pass(page, app, 1_000)

  expect(await app.evaluate((m) => m.status())).toMatchObject({
    phase: 'idle',
    disabledReason: null,
    consecutiveFailures: 0,
    isEnabled: true,
    pending: 0,
  })
  expect((await world.server.docs(USER, 'notes')).size).toBe(21)
})

test('a manual sync is never refused: it gets past buffer, throttle and an open breaker', async ({
  world,
}) => {
  const { page, app } = await openInVirtualTime(world)
  await world.proxy.refuse()
  await app.evaluate((m) => m.putNote('one'))
  await pass(page, app, 2_000)
  for (let attempt = 0; attempt < 4; attempt++) {
    expect(await app.evaluate((m) => m.forceSync())).toBe(false)
  }
  expect(await app.evaluate((m) => m.status())).toMatchObject({ disabledReason: 'failures' })

  await world.proxy.accept()
  expect(await app.evaluate((m) => m.forceSync())).toBe(true)
  expect(await app.evaluate((m) => m.status())).toMatchObject({ phase: 'idle', pending: 0 })
  expect((await world.server.docs(USER, 'notes')).size).toBe(1)
})
