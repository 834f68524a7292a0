import { expect, test } from '../support/e2e'

const USER = 'ann'
const ROWS = 3_000

test.describe('rows that were there before attaching', () => {
  test.beforeEach(async ({ world }) => {
    const { page, app } = await world.load()
    await app.evaluate(async (m, rows) => {
      await m.openApp({ version: 1, install: false })
      await m.putNotes(rows, 'old')
      await m.write({ do: 'add', store: 'tasks', value: { title: 'old' } })
      m.closeApp()
    }, ROWS)
    await page.close()
  })

  test('are uploaded by the first scan, with progress', async ({ world }) => {
    const { app } = await world.open(USER)
    await world.stored(({ records }) => records.length === ROWS + 1)
    await app.evaluate((m) => m.until({ pending: 0, phase: 'idle', progress: null }))

    const all = await app.evaluate((m) => m.statuses.flatMap(({ progress }) => progress ?? []))
    const steps = all.filter(({ direction }) => direction === 'upload')
    expect(steps.length).toBeGreaterThan(1)
    for (const { done, total } of steps) expect(done).toBeLessThanOrEqual(total)
    const done = steps.map((step) => step.done)
    expect(done).toEqual([...done].sort((a, b) => a - b))
    const { operations, versions } = await world.server.state()
    expect(operations).toHaveLength(ROWS + 1)
    expect(versions.get(`~${USER}`)).toBe(ROWS + 1)
  })

  test('are uploaded once, also when the page is reloaded in the middle', async ({ world }) => {
    const { page } = await world.open(USER)
    await world.proxy.until(({ pushes }) => pushes.some(({ status }) => status === 200))
    const { app } = await world.open(USER, {}, page)
    await world.stored(({ records }) => records.length === ROWS + 1)
    await app.evaluate((m) => m.until({ pending: 0, phase: 'idle' }))
    expect((await world.server.state()).versions.get(`~${USER}`)).toBe(ROWS + 1)
  })

  test("stay with `initial: 'ignore'` until they change", async ({ world }) => {
    const { app } = await world.open(USER, { initial: 'ignore' })
    await app.evaluate(async (m) => {
      await m.putNote('old7', { text: 'changed' })
      await m.until({ pending: 0, phase: 'idle' })
    })
    expect([...(await world.server.docs(USER, 'notes')).keys()]).toEqual(['sold7'])
  })
})

test.describe('triggerBackup', () => {
  test('resolves true when the server has confirmed everything, and not before', async ({
    world,
  }) => {
    const { app } = await world.open(USER, { batch: { operations: 100 } })
    let release: () => void = () => undefined
    const until = new Promise<void>((resolve) => {
      release = resolve
    })
    world.proxy.script((n) =>
      n === 3 ? { is: 'hold', until, next: { is: 'forward' } } : { is: 'forward' },
    )
    await app.evaluate((m) => m.putNotes(300))
    const backup = app.evaluate((m) => m.triggerBackup())
    await world.proxy.until(({ pushes }) => pushes.length === 3)
    const early = await Promise.race([backup, world.server.state().then(() => 'not yet')])
    expect(early).toBe('not yet')

    release()
    expect(await backup).toBe(true)
    expect((await world.server.docs(USER, 'notes')).size).toBe(300)
  })

  test('resolves false when the server is away', async ({ world }) => {
    const { app } = await world.open(USER)
    await world.server.stop()
    await app.evaluate((m) => m.putNotes(3))
    expect(await app.evaluate((m) => m.triggerBackup())).toBe(false)
    expect((await app.evaluate((m) => m.status())).pending).toBe(3)
  })

  test('resolves false when something is held', async ({ world }) => {
    const { app } = await world.open(USER)
    const confirmed = await app.evaluate(async (m) => {
      await m.write({
        do: 'put',
        store: 'notes',
        value: { id: 'bad', file: JSON.parse('['.repeat(99) + ']'.repeat(99)) },
      })
      return m.triggerBackup()
    })
    expect(confirmed).toBe(false)
  })

  test('sends nothing a second time', async ({ world }) => {
    const { app } = await world.open(USER)
    await app.evaluate((m) => m.putNotes(50))
    expect(await app.evaluate((m) => m.triggerBackup())).toBe(true)
    expect(await app.evaluate((m) => m.triggerBackup())).toBe(true)
    expect((await world.server.state()).operations).toHaveLength(50)
  })
})
