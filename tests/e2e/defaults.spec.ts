import { type App, expect, test, type World } from '../support/e2e'

/**
 * The schedule once at its documented defaults, in real time: about nine minutes. `npm run e2e:defaults`
 * runs it and prints what was observed beside what is documented.
 */

const USER = 'ann'
/** What machine and browser may add to a wait. */
const SLACK_MS = 1_500

interface Row {
  readonly what: string
  readonly documented: string
  readonly observedMs: number
}

const rows: Row[] = []

function observe(what: string, observedMs: number, leastMs: number, mostMs = leastMs): void {
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`
  const documented =
    leastMs === mostMs ? seconds(leastMs) : `${seconds(leastMs)} to ${seconds(mostMs)}`
  rows.push({ what, documented, observedMs })
  expect.soft(observedMs, what).toBeGreaterThanOrEqual(leastMs - 50)
  expect.soft(observedMs, what).toBeLessThanOrEqual(mostMs + SLACK_MS)
}

/** Resolves to the time in the page at which the status first has `failures` failures. */
function failedAt(app: App, failures: number): Promise<number> {
  return app.evaluate(async (m, count) => {
    await m.until({ consecutiveFailures: count })
    return Date.now()
  }, failures)
}

async function put(app: App, id: string): Promise<number> {
  await app.evaluate((m, name) => m.putNote(name), id)
  return performance.now()
}

async function pushed(world: World, count: number): Promise<{ at: number; endedAt: number }> {
  await world.proxy.until(({ pushes }) => (pushes[count - 1]?.endedAt ?? 0) > 0)
  const push = world.proxy.pushes[count - 1]
  return { at: push?.at ?? 0, endedAt: push?.endedAt ?? 0 }
}

test('the schedule at its defaults, in real time', async ({ world }) => {
  test.setTimeout(900_000)
  const { app } = await world.open(USER, { timing: {}, live: false })
  await app.evaluate((m) => m.until({ phase: 'idle', isInitialized: true }))

  const written = await put(app, 'first')
  const first = await pushed(world, 1)
  observe('buffer: first change to its sync', first.at - written, 2_000)

  await put(app, 'second')
  const second = await pushed(world, 2)
  observe('throttle: end of a sync to the next', second.at - first.endedAt, 5_000)

  await app.evaluate((m) => m.write({ do: 'put', store: 'checkpoints', value: { id: 'c' } }))
  const third = await pushed(world, 3)
  observe('periodic fallback, for a skipped table', third.at - second.endedAt, 60_000)

  await app.evaluate((m) => m.until({ phase: 'idle' }))
  await world.proxy.refuse()
  await put(app, 'while down')
  let before = await failedAt(app, 1)
  for (const [index, wait] of [5_000, 10_000, 20_000, 40_000].entries()) {
    const failed = await failedAt(app, index + 2)
    observe(`backoff after failure ${index + 1}`, failed - before, wait, 1.5 * wait)
    before = failed
  }
  const open = await app.evaluate((m) => m.status())
  expect(open).toMatchObject({ phase: 'disabled', disabledReason: 'failures' })
  rows.push({ what: 'breaker: failures until auto-sync pauses', documented: '5', observedMs: 5 })

  await put(app, 'while paused')
  await world.proxy.accept()
  const recovered = await app.evaluate(async (m) => {
    await m.until({ consecutiveFailures: 0, pending: 0 })
    return Date.now()
  })
  observe('recovery: breaker open to the probe that succeeds', recovered - before, 300_000, 305_000)
  expect((await world.server.docs(USER, 'notes')).size).toBe(4)
})

test.afterAll(() => {
  const lines = rows.map(({ what, documented, observedMs }) => {
    const observed = observedMs < 50 ? String(observedMs) : `${(observedMs / 1_000).toFixed(1)} s`
    return `${what.padEnd(52)} ${documented.padStart(20)} ${observed.padStart(12)}`
  })
  const head = `${''.padEnd(52)} ${'documented'.padStart(20)} ${'observed'.padStart(12)}`
  process.stdout.write(`${[head, ...lines].join('\n')}\n`)
})
