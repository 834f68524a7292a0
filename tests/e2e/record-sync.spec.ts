import { type App, expect, test, type World } from '../support/e2e'
import { openModule } from '../support/page'

type ReactApp = import('@playwright/test').JSHandle<typeof import('./fixtures/react')>

test.use({ entry: 'tests/e2e/fixtures/react.tsx' })

async function openReact(world: World): Promise<ReactApp> {
  const page = await world.context.newPage()
  const app = await openModule<typeof import('./fixtures/react')>(page, world.origin)
  await app.evaluate((m, url) => m.prepare(url), world.proxy.url)
  return app
}

/** Holds the first push until it is released. */
function holdFirstPush(world: World): () => void {
  let release: () => void = () => undefined
  const until = new Promise<void>((resolve) => {
    release = resolve
  })
  world.proxy.script((n) =>
    n === 1 ? { is: 'hold', until, next: { is: 'forward' } } : { is: 'forward' },
  )
  return release
}

test('a record is pending, staged and synced as the server has it, in the tab that leads', async ({
  world,
}) => {
  const app = await openReact(world)
  await app.evaluate(async (m) => {
    m.mountNotes(['a', 'other'])
    await m.untilText('note-a', 'synced')
  })
  const release = holdFirstPush(world)
  const settled = app.evaluate(async (m) => {
    await m.putNote('a')
    return m.recordSync('notes', 'a').getSnapshot().settled
  })
  await world.proxy.until(({ pushes }) => pushes.length === 1)
  await app.evaluate((m) => m.untilText('note-a', 'staged'))
  release()
  expect(await settled).toEqual({ ok: true })
  expect((await world.server.docs('ann', 'notes')).has('sa')).toBe(true)
  await app.evaluate((m) => m.untilText('note-a', 'synced'))

  const states = await app.evaluate((m) => m.states)
  // StrictMode renders twice; nothing renders again without another state.
  const once = (all: readonly string[] = []) => all.filter((it, at) => it !== all[at - 1])
  expect(once(states.a)).toEqual(['unknown', 'synced', 'pending', 'staged', 'synced'])
  expect(states.a).toHaveLength(2 * once(states.a).length)
  expect(once(states.other)).toEqual(['unknown', 'synced'])
  expect(states.other).toHaveLength(4)
})

test('a tab that does not lead tells the same, of its own writes and of others', async ({
  world,
}) => {
  const leading = await openReact(world)
  await leading.evaluate(async (m) => {
    m.mountNotes([])
    await m.until({ isLeader: true, isInitialized: true })
  })
  const app = await openReact(world)
  await app.evaluate(async (m) => {
    m.mountNotes(['mine', 'theirs'])
    await m.untilText('note-mine', 'synced')
  })
  expect(await app.evaluate((m) => m.status())).toMatchObject({ isLeader: false })
  const release = holdFirstPush(world)
  const settled = app.evaluate(async (m) => {
    await m.putNote('mine')
    return m.recordSync('notes', 'mine').getSnapshot().settled
  })
  await leading.evaluate((m) => m.putNote('theirs'))
  await app.evaluate((m) => m.untilText('note-mine', 'staged'))
  release()
  expect(await settled).toEqual({ ok: true })
  await app.evaluate((m) => m.untilText('note-theirs', 'synced'))
  expect((await world.server.docs('ann', 'notes')).size).toBe(2)
  const states = await app.evaluate((m) => m.states)
  expect(states.mine).toContain('pending')
})

test('the next leader goes on telling', async ({ world }) => {
  const leading = await world.context.newPage()
  const first = await openModule<typeof import('./fixtures/react')>(leading, world.origin)
  await first.evaluate((m, url) => m.prepare(url), world.proxy.url)
  await first.evaluate(async (m) => {
    m.mountNotes([])
    await m.until({ isLeader: true, isInitialized: true })
  })
  const next = await openReact(world)
  await next.evaluate(async (m) => {
    m.mountNotes([])
    await m.until({ isInitialized: true })
  })
  const app = await openReact(world)
  await app.evaluate(async (m) => {
    m.mountNotes(['a'])
    await m.untilText('note-a', 'synced')
  })
  await leading.close()
  // A page that is closed is hidden first: whichever of the two hears of that leads.
  const leads = [next, app].map((tab) => tab.evaluate((m) => m.until({ isLeader: true })))
  await Promise.any(leads)
  const settled = await app.evaluate(async (m) => {
    await m.putNote('a')
    return m.recordSync('notes', 'a').getSnapshot().settled
  })
  expect(settled).toEqual({ ok: true })
  expect((await world.server.docs('ann', 'notes')).has('sa')).toBe(true)
})

test('a record that is held says why, the list has it, and both end when it is replaced', async ({
  world,
}) => {
  const app = await openReact(world)
  await app.evaluate(async (m) => {
    m.mountNotes(['a'])
    await m.untilText('note-a', 'synced')
  })
  const settled = await app.evaluate(async (m) => {
    await m.putNote('a', { value: m.nested(65) })
    return m.recordSync('notes', 'a').getSnapshot().settled
  })
  expect(settled).toEqual({ ok: false, code: 'too-deep' })
  await app.evaluate((m) => m.untilText('note-a', 'held'))
  await app.evaluate((m) => m.untilText('issues', 'too-deep'))
  const issue = await app.evaluate((m) => {
    const { local: _, ...rest } = m.issues?.issues[0] ?? {}
    return rest
  })
  expect(issue).toMatchObject({ table: 'notes', key: 'a', conflict: false, remote: null, base: 0 })

  await app.evaluate(async (m) => {
    await m.putNote('a', { value: 1 })
    await m.untilText('note-a', 'synced')
    await m.untilText('issues', '')
  })
})

test('a value can take the place of what cannot be sent', async ({ world }) => {
  const app = await openReact(world)
  await app.evaluate(async (m) => {
    m.mountNotes(['a'])
    await m.untilText('note-a', 'synced')
    await m.forceSync()
    await m.putNote('a', { value: m.nested(65) })
    await m.untilText('issues', 'too-deep')
  })
  const refused = await app.evaluate(async (m) => {
    const { id } = m.issues?.issues[0] ?? { id: '' }
    const value = { id: 'a', value: m.nested(65) }
    return m.issues?.resolve(id, { value }).catch((error) => error.code)
  })
  expect(refused).toBe('cannot-be-sent')
  const resolved = await app.evaluate(async (m) => {
    const { id } = m.issues?.issues[0] ?? { id: '' }
    return m.issues?.resolve(id, { value: { id: 'a', value: 'shallow' } })
  })
  expect(resolved).toBe(true)
  await app.evaluate((m) => m.untilText('note-a', 'synced'))
  await app.evaluate((m) => m.untilText('issues', ''))
  const docs = await world.server.docs('ann', 'notes')
  expect(docs.get('sa')).toEqual({ id: 'a', value: 'shallow' })
})

test('1,000 mounts leave nothing behind', async ({ world }) => {
  const app = await openReact(world)
  const counted = await app.evaluate(async (m) => {
    const ids = Array.from({ length: 1_000 }, (_, n) => `n${n}`)
    m.mountNotes(ids)
    await m.untilText('note-n999', 'synced')
    m.unmount()
    m.mountNotes(['a'])
    await m.untilText('note-a', 'synced')
    await m.putNotes(1_000)
    await m.until({ pending: 0, phase: 'idle' })
    return m.states.n7?.length
  })
  // Its component is gone: it has heard of nothing since.
  expect(counted).toBe(4)
  expect((await world.server.docs('ann', 'notes')).size).toBe(1_000)
})

test('without React, also before anything is known', async ({ world }) => {
  const { app } = await world.open('ann')
  const [before, outcome, after] = await (app as App).evaluate(async (m) => {
    const record = m.recordSync('notes', 'a')
    const states: string[] = []
    const leave = record.subscribe(() => states.push(record.getSnapshot().state))
    const first = record.getSnapshot()
    await m.putNote('a')
    const settled = await record.getSnapshot().settled
    leave()
    return [first === record.getSnapshot(), settled, states] as const
  })
  expect(before).toBe(false)
  expect(outcome).toEqual({ ok: true })
  expect(after.at(-1)).toBe('synced')
})
