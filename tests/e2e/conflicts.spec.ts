import type { ConflictStrategy } from '../../www/src'
import { type App, expect, test, type World } from '../support/e2e'

const USER = 'ann'
/** Nothing is synced but when a test says so. */
const BY_HAND = { live: false, timing: { bufferMs: 3_600_000, throttleMs: 0 } }

/** Two devices of one user, which both have the note `a`. */
interface Devices {
  readonly here: App
  readonly there: App
}

async function devices(
  world: World,
  conflict: ConflictStrategy,
  resolver?: string,
): Promise<Devices> {
  const open = async (device: World): Promise<App> => {
    const { app } = await device.load()
    const start = { url: world.proxy.url, user: USER, options: BY_HAND }
    await app.evaluate((m, args) => m.startWith(...args), [start, conflict, resolver] as const)
    return app
  }
  const here = await open(world)
  await here.evaluate((m) => m.putNote('a', { text: 'old', n: 0 }))
  await sync(here)
  const there = await open(await world.device())
  await sync(there)
  expect(await note(there)).toEqual({ id: 'a', text: 'old', n: 0 })
  return { here, there }
}

async function sync(app: App): Promise<void> {
  expect(await app.evaluate((m) => m.forceSync())).toBe(true)
}

function note(app: App): Promise<unknown> {
  return app.evaluate((m) => m.read('notes', 'a'))
}

/** Changes the note, later than everything that was changed before. */
async function edit(app: App, fields: object | null): Promise<void> {
  await app.evaluate(async (m, change) => {
    const before = Date.now()
    while (Date.now() === before);
    const value = { ...((await m.read('notes', 'a')) as object), ...change }
    await (change === null
      ? m.write({ do: 'delete', store: 'notes', key: 'a' })
      : m.write({ do: 'put', store: 'notes', value }))
  }, fields)
}

/** Both devices and the server have this; undefined for nothing. */
async function expectAll(world: World, { here, there }: Devices, value: unknown): Promise<void> {
  await sync(there)
  await sync(here)
  expect((await world.server.docs(USER, 'notes')).get('sa')).toEqual(value)
  expect(await note(here)).toEqual(value)
  expect(await note(there)).toEqual(value)
  expect(await here.evaluate((m) => m.rawEntries('tidesync.log.notes'))).toEqual([])
  expect(await there.evaluate((m) => m.rawEntries('tidesync.log.notes'))).toEqual([])
}

/** Both change the note, `later` later than the other; `there` reaches the server first. */
async function collide(
  both: Devices,
  here: object | null,
  there: object | null,
  later: keyof Devices = 'there',
): Promise<void> {
  if (later === 'there') await edit(both.here, here)
  await edit(both.there, there)
  if (later === 'here') await edit(both.here, here)
  await sync(both.there)
  await both.here.evaluate((m) => m.forceSync())
}

/** By its clock alone, the change of the server's priority would lose, and the other's would win. */
function laterUnder(strategy: ConflictStrategy): keyof Devices {
  return strategy === 'server-priority' ? 'here' : 'there'
}

test.describe('one field, changed here and there, which syncs first', () => {
  const outcomes: readonly [ConflictStrategy, string, string?][] = [
    ['last-write-wins', 'there'],
    ['merge', 'there'],
    ['client-priority', 'here'],
    ['server-priority', 'there'],
    ['custom', 'here+there', 'join'],
  ]
  for (const [strategy, text, resolver] of outcomes) {
    test(`${strategy}: "${text}" everywhere, and nothing else is lost`, async ({ world }) => {
      const both = await devices(world, strategy, resolver)
      const changes = [
        { text: 'here', mine: 1 },
        { text: 'there', theirs: 2 },
      ] as const
      await collide(both, ...changes, laterUnder(strategy))
      await both.here.evaluate((m) => m.until({ pending: 0, held: 0, phase: 'idle' }))
      const value = (await world.server.docs(USER, 'notes')).get('sa')
      expect(value).toMatchObject({ text, theirs: 2 })
      if (strategy !== 'server-priority' && strategy !== 'custom') {
        expect(value).toMatchObject({ mine: 1 })
      }
      await expectAll(world, both, value)
    })
  }

  for (const [resolver, title] of [
    ['fail', 'a function that fails'],
    ['loseKey', 'a function that gives a value without a key'],
    ['changeKey', "a function that gives another record's key"],
  ] as const) {
    test(`${title} leaves it to people, and holds up nothing else`, async ({ world }) => {
      const both = await devices(world, 'custom', resolver)
      await both.here.evaluate((m) => m.putNote('b', { text: 'mine' }))
      await collide(both, { text: 'here' }, { text: 'there' })
      await both.here.evaluate((m) => m.until({ held: 1, conflicts: 1 }))
      await both.here.evaluate((m) => m.putNote('c'))
      await sync(both.here)
      expect(await note(both.here)).toMatchObject({ text: 'here' })
      const docs = await world.server.docs(USER, 'notes')
      expect(docs.get('sb')).toMatchObject({ text: 'mine' })
      expect([...docs.keys()].sort()).toEqual(['sa', 'sb', 'sc'])
    })
  }
})

test('the later change wins also where it comes last, and the history says so', async ({
  world,
}) => {
  const both = await devices(world, 'last-write-wins')
  await edit(both.there, { text: 'there' })
  await edit(both.here, { text: 'here' })
  await sync(both.there)
  await sync(both.here)
  await expectAll(world, both, { id: 'a', text: 'here', n: 0 })
  const history = await both.here.evaluate((m) => m.listSyncHistory())
  expect(history).toMatchObject([
    {
      table: 'notes',
      key: 'a',
      by: 'server',
      fields: [{ field: 'text', winner: 'local', local: 'here', remote: 'there' }],
    },
  ])
})

test.describe('manual', () => {
  async function conflict(world: World): Promise<Devices & { id: string }> {
    const both = await devices(world, 'manual')
    await collide(both, { text: 'here' }, { text: 'there' })
    await both.here.evaluate((m) => m.until({ held: 1, conflicts: 1 }))
    expect(await note(both.here)).toMatchObject({ text: 'here' })
    const [issue, ...more] = await both.here.evaluate((m) => m.listSyncIssues())
    expect(more).toEqual([])
    expect(issue).toMatchObject({
      table: 'notes',
      key: 'a',
      code: 'conflict',
      base: 1,
      conflict: true,
      local: { id: 'a', text: 'here', n: 0 },
      remote: { id: 'a', text: 'there', n: 0 },
    })
    return { ...both, id: issue?.id ?? '' }
  }

  const choices = [
    ['local', 'local', 'here'],
    ['remote', 'remote', 'there'],
    ['a value', { value: { id: 'a', text: 'both', n: 0 } }, 'both'],
  ] as const
  for (const [name, resolution, text] of choices) {
    test(`both sides are listed, and "${name}" is what becomes of it`, async ({ world }) => {
      const { id, ...both } = await conflict(world)
      const resolved = await both.here.evaluate((m, args) => m.resolveSyncIssue(...args), [
        id,
        resolution,
      ] as const)
      expect(resolved).toBe(true)
      await sync(both.here)
      await expectAll(world, both, { id: 'a', text, n: 0 })
      expect(await both.here.evaluate((m) => m.listSyncIssues())).toEqual([])
      expect(await both.here.evaluate((m) => m.listSyncHistory())).toMatchObject([{ by: 'user' }])
      const again = await both.here.evaluate((m, op) => m.resolveSyncIssue(op, 'local'), id)
      expect(again).toBe(false)
    })
  }

  test("another record's key is refused, and the record is as it was", async ({ world }) => {
    const { id, ...both } = await conflict(world)
    await both.here.evaluate((m) => m.putNote('b', { text: 'mine' }))
    const value = { id: 'b', text: 'both' }
    const refused = await both.here.evaluate(
      (m, args) => m.resolveSyncIssue(...args).catch((error) => error.code),
      [id, { value }] as const,
    )
    expect(refused).toBe('key-changed')
    expect(await both.here.evaluate((m) => m.read('notes', 'b'))).toMatchObject({ text: 'mine' })
    const [issue] = await both.here.evaluate((m) => m.listSyncIssues())
    expect(issue).toMatchObject({ id, code: 'conflict' })
    await sync(both.here)
    expect((await world.server.docs(USER, 'notes')).get('sb')).toMatchObject({ text: 'mine' })
  })

  test('a tab that does not lead decides as well', async ({ world }) => {
    const { id, ...both } = await conflict(world)
    const { app } = await world.load()
    const start = { url: world.proxy.url, user: USER, options: BY_HAND }
    await app.evaluate((m, args) => m.startWith(args, 'manual'), start)
    expect(await app.evaluate((m) => m.status())).toMatchObject({ isLeader: false, conflicts: 1 })
    expect(await app.evaluate((m, op) => m.resolveSyncIssue(op, 'remote'), id)).toBe(true)
    await expectAll(world, both, { id: 'a', text: 'there', n: 0 })
  })
})

test.describe('an update and a deletion', () => {
  const cases: readonly [ConflictStrategy, object | null, object | null, boolean][] = [
    ['last-write-wins', { n: 1 }, null, false],
    ['last-write-wins', null, { n: 1 }, true],
    ['merge', { n: 1 }, null, true],
    ['merge', null, { n: 1 }, true],
    ['client-priority', { n: 1 }, null, true],
    ['client-priority', null, { n: 1 }, false],
    ['server-priority', { n: 1 }, null, false],
    ['server-priority', null, { n: 1 }, true],
  ]
  const word = (change: object | null) => (change === null ? 'deletion' : 'update')
  for (const [strategy, here, there, stays] of cases) {
    const outcome = stays ? 'stays' : 'is gone'
    const later = laterUnder(strategy)
    const title = `${strategy}: ${word(here)} here, ${word(there)} there, later ${later}: it ${outcome}`
    test(title, async ({ world }) => {
      const both = await devices(world, strategy)
      await collide(both, here, there, later)
      await both.here.evaluate((m) => m.until({ pending: 0, held: 0, phase: 'idle' }))
      await expectAll(world, both, stays ? { id: 'a', text: 'old', n: 1 } : undefined)
    })
  }

  test('manual: a deletion elsewhere is listed as nothing', async ({ world }) => {
    const both = await devices(world, 'manual')
    await collide(both, { n: 1 }, null)
    await both.here.evaluate((m) => m.until({ conflicts: 1 }))
    const [issue] = await both.here.evaluate((m) => m.listSyncIssues())
    expect(issue).toMatchObject({ conflict: true, local: { n: 1 }, remote: null })
    const resolved = await both.here.evaluate(
      (m, id) => m.resolveSyncIssue(id, 'local'),
      issue?.id ?? '',
    )
    expect(resolved).toBe(true)
    await sync(both.here)
    await expectAll(world, both, { id: 'a', text: 'old', n: 1 })
  })
})
