import { type App, expect, test, type World } from '../support/e2e'

const TEAM = 'team-1'
/** `notes` are the team's, all else is each user's own. */
const SHARED = { notes: { space: TEAM }, loose: {} }
const BY_HAND = { live: false, timing: { bufferMs: 3_600_000, throttleMs: 0 } }

type Spaces = Record<string, 'r' | 'rw'>

/** A user at a device of their own, and the bytes that the server answered there. */
interface User {
  readonly app: App
  readonly answers: () => Promise<string>
  /** What tokens grant from now on. */
  readonly grant: (spaces: Spaces) => void
}

async function user(
  world: World,
  name: string,
  spaces: Spaces,
  options: object = BY_HAND,
): Promise<User> {
  const device = await world.device()
  let granted = spaces
  device.token = ({ userId }) => world.server.token(userId, { spaces: granted })
  const bodies: Promise<string>[] = []
  device.context.on('response', (response) => {
    const { pathname } = new URL(response.url())
    if (/^\/api\/sync\/(push|pull)/.test(pathname)) bodies.push(response.text())
  })
  const { app } = await device.open(name, { tables: SHARED, ...options })
  return {
    app,
    answers: async () => (await Promise.all(bodies)).join('\n'),
    grant: (spaces) => {
      granted = spaces
    },
  }
}

function put(app: App, store: string, key: string, value: unknown): Promise<unknown> {
  return store === 'notes'
    ? app.evaluate((m, [key, value]) => m.putNote(key, { text: value }), [key, value] as const)
    : app.evaluate((m, [store, key, value]) => m.write({ do: 'put', store, key, value }), [
        store,
        key,
        value,
      ] as const)
}

async function sync(...users: User[]): Promise<void> {
  for (const { app } of users) expect(await app.evaluate((m) => m.forceSync())).toBe(true)
}

function notes({ app }: User): Promise<unknown> {
  return app.evaluate(async (m) => (await m.readAll('notes')).map(([, note]) => note))
}

async function issues({ app }: User): Promise<{ id: string; table: string; code: string }[]> {
  return app.evaluate((m) => m.listSyncIssues())
}

test('two users of a space see each other’s changes at once, and a third nothing of them', async ({
  world,
}) => {
  const ann = await user(world, 'ann', { [TEAM]: 'rw' }, {})
  const bob = await user(world, 'bob', { [TEAM]: 'rw' }, {})
  const eve = await user(world, 'eve', { other: 'rw' })
  await put(ann.app, 'notes', 'a', 'of the team')
  await put(ann.app, 'loose', 'p', 'of ann alone')
  await bob.app.evaluate((m) => m.untilRecord('notes', 'a', { id: 'a', text: 'of the team' }))
  await put(bob.app, 'notes', 'a', 'of bob')
  await ann.app.evaluate((m) => m.untilRecord('notes', 'a', { id: 'a', text: 'of bob' }))
  await ann.app.evaluate((m) => m.until({ pending: 0 }))
  // Who has no right to the space writes to it all the same, and to their own.
  await put(eve.app, 'notes', 'a', 'of eve')
  await put(eve.app, 'loose', 'q', 'of eve alone')
  expect(await eve.app.evaluate((m) => m.forceSync())).toBe(false)
  expect(await issues(eve)).toMatchObject([{ table: 'notes', code: 'wrong-space' }])
  await sync(ann, bob)

  expect(await notes(bob)).toEqual([{ id: 'a', text: 'of bob' }])
  expect(await bob.app.evaluate((m) => m.readAll('loose'))).toEqual([])
  const { records } = await world.server.state()
  expect(records.map(({ space, table, doc }) => [space, table, doc])).toEqual(
    expect.arrayContaining([
      [TEAM, 'notes', { id: 'a', text: 'of bob' }],
      ['~ann', 'loose', 'of ann alone'],
      ['~eve', 'loose', 'of eve alone'],
    ]),
  )
  expect(records).toHaveLength(3)
  const [toAnn, toBob, toEve] = await Promise.all([ann, bob, eve].map((it) => it.answers()))
  expect(toAnn).toContain('of bob')
  expect(toBob).toContain('of the team')
  expect(toBob).not.toContain('alone')
  expect(toEve).not.toMatch(/of the team|of bob|of ann/)
  expect(toEve).not.toContain(`"${TEAM}"`)
})

test('files of a shared table come from its space', async ({ world }) => {
  const ann = await user(world, 'ann', { [TEAM]: 'rw' })
  const bob = await user(world, 'bob', { [TEAM]: 'r' })
  await ann.app.evaluate((m) => m.putNote('a', { photo: new Blob(['bytes'], { type: 'x/y' }) }))
  await sync(ann, bob)
  const photo = await bob.app.evaluate(async (m) => {
    const note = (await m.read('notes', 'a')) as { photo: Blob }
    return [note.photo.type, await note.photo.text()]
  })
  expect(photo).toEqual(['x/y', 'bytes'])
  // Who may only read cannot leave bytes there either: the change is held, and nothing waits for it.
  await bob.app.evaluate((m) => m.putNote('b', { photo: new Blob(['of bob']) }))
  await put(bob.app, 'loose', 'p', 1)
  expect(await bob.app.evaluate((m) => m.forceSync())).toBe(false)
  expect(await issues(bob)).toMatchObject([{ table: 'notes', code: 'read-only' }])
  expect(await world.server.docs('bob', 'loose')).toEqual(new Map([['sp', 1]]))
})

test('what may only be read is held, and becomes what the server has', async ({ world }) => {
  const ann = await user(world, 'ann', { [TEAM]: 'rw' })
  const bob = await user(world, 'bob', { [TEAM]: 'r' })
  await put(ann.app, 'notes', 'a', 'one')
  await put(ann.app, 'notes', 'b', 'two')
  await sync(ann, bob)
  await put(bob.app, 'notes', 'a', 'of bob')
  await bob.app.evaluate((m) => m.write({ do: 'delete', store: 'notes', key: 'b' }))
  await put(bob.app, 'loose', 'p', 1)
  expect(await bob.app.evaluate((m) => m.forceSync())).toBe(false)
  const held = await issues(bob)
  expect(held.map(({ code }) => code)).toEqual(['read-only', 'read-only'])
  expect(await bob.app.evaluate((m) => m.status())).toMatchObject({ pending: 0, lastError: null })
  expect(await world.server.docs('bob', 'loose')).toEqual(new Map([['sp', 1]]))
  for (const { id } of held) {
    expect(await bob.app.evaluate((m, id) => m.resolveSyncIssue(id, 'remote'), id)).toBe(true)
  }
  await sync(bob)
  expect(await notes(bob)).toEqual(await notes(ann))
  expect(await issues(bob)).toEqual([])
})

test('what is no longer granted stays as it was, and goes on when it is granted again', async ({
  world,
}) => {
  const ann = await user(world, 'ann', { [TEAM]: 'rw' })
  const bob = await user(world, 'bob', { [TEAM]: 'rw' })
  await put(ann.app, 'notes', 'a', 'one')
  await sync(ann, bob)
  bob.grant({})
  await put(ann.app, 'notes', 'a', 'two')
  await sync(ann)
  await put(bob.app, 'notes', 'b', 'of bob')
  await put(bob.app, 'loose', 'p', 1)
  expect(await bob.app.evaluate((m) => m.forceSync())).toBe(false)
  const [held] = await issues(bob)
  expect(held).toMatchObject({ table: 'notes', code: 'wrong-space' })
  const status = await bob.app.evaluate((m) => m.status())
  expect(status).toMatchObject({ pending: 0, held: 1, lastError: null })
  expect(status.phase).not.toBe('needs-auth')
  expect(await world.server.docs('bob', 'loose')).toEqual(new Map([['sp', 1]]))
  expect(await notes(bob)).toEqual([
    { id: 'a', text: 'one' },
    { id: 'b', text: 'of bob' },
  ])
  expect(await bob.answers()).not.toContain('two')

  bob.grant({ [TEAM]: 'rw' })
  const id = held?.id ?? ''
  expect(await bob.app.evaluate((m, id) => m.resolveSyncIssue(id, 'local'), id)).toBe(true)
  await sync(bob, ann)
  const both = [
    { id: 'a', text: 'two' },
    { id: 'b', text: 'of bob' },
  ]
  expect(await notes(bob)).toEqual(both)
  expect(await notes(ann)).toEqual(both)
})

test('a table is not taken to another space by a line of configuration', async ({ world }) => {
  world.token = ({ userId }) =>
    world.server.token(userId, { spaces: { [TEAM]: 'rw', 'team-2': 'rw' } })
  const { page, app } = await world.open('ann', { tables: SHARED, ...BY_HAND })
  await put(app, 'notes', 'a', 'of team 1')
  expect(await app.evaluate((m) => m.forceSync())).toBe(true)
  const requests = world.proxy.pushes.length + world.proxy.pulls.length
  const moved = { ...SHARED, notes: { space: 'team-2' } }
  const { app: again } = await world.open('ann', { tables: moved, ...BY_HAND }, page)
  await put(again, 'notes', 'b', 'of team 1 too')
  expect(await again.evaluate((m) => m.forceSync())).toBe(false)
  const status = await again.evaluate((m) => m.status())
  expect(status).toMatchObject({ phase: 'engine-failed', lastError: { code: 'space-changed' } })
  expect(world.proxy.pushes.length + world.proxy.pulls.length).toBe(requests)
  const { app: back } = await world.open('ann', { tables: SHARED, ...BY_HAND }, page)
  expect(await back.evaluate((m) => m.forceSync())).toBe(true)
  const { records } = await world.server.state()
  expect(records.map(({ space, rid }) => [space, rid])).toEqual([
    [TEAM, 'sa'],
    [TEAM, 'sb'],
  ])
})
