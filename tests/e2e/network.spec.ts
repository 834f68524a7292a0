import { type App, expect, test } from '../support/e2e'

const USER = 'ann'
const HTML = { 'content-type': 'text/html' }

/** Every operation had its effect once, and every record is there. */
async function expectEachOnce(
  world: { server: { state(): Promise<import('../support/server').ServerState> } },
  count: number,
): Promise<void> {
  const { records, operations, versions } = await world.server.state()
  expect(records).toHaveLength(count)
  expect(operations).toHaveLength(count)
  expect(versions.get(`~${USER}`)).toBe(count)
}

function synced(app: App): Promise<unknown> {
  return app.evaluate((m) => m.until({ pending: 0, phase: 'idle' }))
}

test('what is written offline is sent when the network is back', async ({ world, context }) => {
  const { app } = await world.open(USER)
  await context.setOffline(true)
  await app.evaluate((m) => m.until({ phase: 'offline' }))
  await app.evaluate((m) => m.putNotes(5))
  expect(await app.evaluate((m) => m.status())).toMatchObject({
    phase: 'offline',
    pending: 5,
    isOnline: false,
    consecutiveFailures: 0,
  })
  expect(world.proxy.pushes).toHaveLength(0)

  await context.setOffline(false)
  await synced(app)
  await expectEachOnce(world, 5)
})

test('a page that is loaded offline syncs when the network is back', async ({ world }) => {
  const { page, app } = await world.open(USER)
  await world.proxy.refuse()
  await app.evaluate((m) => m.putNotes(3))
  await page.reload()
  const again = await world.open(USER, {}, page)
  expect((await again.app.evaluate((m) => m.status())).pending).toBe(3)

  await world.proxy.accept()
  await synced(again.app)
  await expectEachOnce(world, 3)
})

test('changes that wait survive a reload', async ({ world }) => {
  const slow = { timing: { bufferMs: 600_000 } }
  const { page, app } = await world.open(USER, slow)
  await app.evaluate((m) => m.putNotes(100))
  expect(world.proxy.pushes).toHaveLength(0)

  const again = await world.open(USER, {}, page)
  await synced(again.app)
  await expectEachOnce(world, 100)
})

test('a reload between send and answer sends the same operations again, without a duplicate', async ({
  world,
}) => {
  const { page, app } = await world.open(USER)
  const never = new Promise(() => undefined)
  let committed: () => void = () => undefined
  const stored = new Promise<void>((resolve) => {
    committed = resolve
  })
  world.proxy.script(() => ({ is: 'lose-answer', hold: never, answered: committed }))
  await app.evaluate((m) => m.putNotes(10))
  await stored
  expect((await world.server.state()).records).toHaveLength(10)

  world.proxy.script()
  const again = await world.open(USER, {}, page)
  await synced(again.app)

  const [first, second] = world.proxy.pushes.map(({ body }) => body)
  expect(second?.ops).toEqual(first?.ops)
  expect(second?.client).toBe(first?.client)
  await expectEachOnce(world, 10)
})

test('an answer that is lost is asked for again, without a duplicate', async ({ world }) => {
  const { app } = await world.open(USER)
  world.proxy.script((n) => (n <= 2 ? { is: 'lose-answer' } : { is: 'forward' }))
  await app.evaluate((m) => m.putNotes(10))
  await synced(app)

  expect(world.proxy.pushes.map(({ status }) => status)).toEqual([undefined, undefined, 200])
  await expectEachOnce(world, 10)
})

test('a server that is killed in the middle of a sync loses and doubles nothing', async ({
  world,
}) => {
  const { app } = await world.open(USER, { batch: { operations: 100 } })
  world.proxy.script((n) => {
    if (n === 4 || n === 9) void world.server.kill().then(() => world.server.start())
    return { is: 'forward' }
  })
  await app.evaluate((m) => m.putNotes(2_000))
  await synced(app)
  await expectEachOnce(world, 2_000)
})

test('a captive portal is not taken for the server', async ({ world }) => {
  const { app } = await world.open(USER)
  world.proxy.script((n) =>
    n <= 2
      ? { is: 'answer', status: 200, headers: HTML, body: '<html>Sign in to the Wi-Fi</html>' }
      : { is: 'forward' },
  )
  await app.evaluate((m) => m.putNotes(10))
  const failed = await app.evaluate((m) => m.until({ consecutiveFailures: 2 }))
  expect(failed).toMatchObject({ pending: 10, lastError: { code: 'not-the-server' } })

  await synced(app)
  await expectEachOnce(world, 10)
})

test('an answer of another batch confirms nothing', async ({ world }) => {
  const { app } = await world.open(USER)
  world.proxy.script((n, { ops }) => {
    const verdicts = ops.map(({ op }) => ({ op, verdict: 'applied', version: 1 }))
    const body = JSON.stringify({ protocol: 1, batch: 'other', epoch: 'e', verdicts })
    return n === 1
      ? { is: 'answer', status: 200, headers: { 'content-type': 'application/json' }, body }
      : { is: 'forward' }
  })
  await app.evaluate((m) => m.putNotes(3))
  await synced(app)
  expect(world.proxy.pushes).toHaveLength(2)
  await expectEachOnce(world, 3)
})

test('Retry-After is obeyed where it is longer than the backoff', async ({ world }) => {
  const { app } = await world.open(USER)
  const waiting = { is: 'answer', status: 503, headers: { 'retry-after': '1' } } as const
  world.proxy.script((n) => (n === 1 ? waiting : { is: 'forward' }))
  await app.evaluate((m) => m.putNotes(3))
  await synced(app)

  const [first, second] = world.proxy.pushes
  expect((second?.at ?? 0) - (first?.endedAt ?? 0)).toBeGreaterThanOrEqual(990)
  await expectEachOnce(world, 3)
})

test('a server that never answers is given up after the time limit', async ({ world }) => {
  const { app } = await world.open(USER, {
    timing: { bufferMs: 30, throttleMs: 60, backoffBaseMs: 50, requestTimeoutMs: 300 },
  })
  const never = new Promise(() => undefined)
  world.proxy.script((n) =>
    n === 1 ? { is: 'hold', until: never, next: { is: 'break' } } : { is: 'forward' },
  )
  await app.evaluate((m) => m.putNotes(3))
  const failed = await app.evaluate((m) => m.until({ consecutiveFailures: 1 }))
  expect(failed.lastError?.code).toBe('timeout')
  await synced(app)
  await expectEachOnce(world, 3)
})

test('too large a request is halved until it passes', async ({ world }) => {
  const { app } = await world.open(USER)
  world.proxy.script((_, { ops }) =>
    ops.length > 3 ? { is: 'answer', status: 413 } : { is: 'forward' },
  )
  await app.evaluate((m) => m.putNotes(20))
  await synced(app)
  expect(await app.evaluate((m) => m.status())).toMatchObject({ held: 0, consecutiveFailures: 0 })
  await expectEachOnce(world, 20)
})

test('the breaker opens while the server is down, and the backlog follows when it is back', async ({
  world,
}) => {
  const timing = { bufferMs: 20, throttleMs: 20, backoffBaseMs: 20, recoveryMs: 1_500 }
  const { app } = await world.open(USER, { timing })
  await world.server.stop()
  await app.evaluate((m) => m.putNotes(10, 'before'))
  const open = await app.evaluate((m) => m.until({ disabledReason: 'failures' }))
  expect(open).toMatchObject({ phase: 'disabled', consecutiveFailures: 5, pending: 10 })
  await app.evaluate((m) => m.putNotes(1_500, 'meanwhile'))

  await world.server.start()
  await synced(app)
  expect(await app.evaluate((m) => m.status())).toMatchObject({
    isEnabled: true,
    disabledReason: null,
    consecutiveFailures: 0,
  })
  await expectEachOnce(world, 1_510)
})
