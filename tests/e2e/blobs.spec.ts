import type { Page, Route } from '@playwright/test'
import { type App, expect, test, type World } from '../support/e2e'

const USER = 'ann'
const MIB = 1024 * 1024
/** Nothing is synced but when a test says so. */
const BY_HAND = { live: false, timing: { bufferMs: 3_600_000, throttleMs: 0 } }

/** Requests of the lane as `POST 1048576`, `status` and `GET 0`, and what becomes of them. */
class Lane {
  readonly log: string[] = []
  /** By what the log says of it. */
  fail: (line: string) => boolean = () => false

  static async watch(page: Page): Promise<Lane> {
    const lane = new Lane()
    await page.route('**/api/sync/blob/**', (route) => lane.#pass(route))
    return lane
  }

  async #pass(route: Route): Promise<void> {
    const request = route.request()
    const { pathname, searchParams } = new URL(request.url())
    const offset = searchParams.get('offset') ?? ''
    const line = pathname.endsWith('/status') ? 'status' : `${request.method()} ${offset}`
    this.log.push(line)
    if (this.fail(line)) await route.abort('connectionreset')
    else await route.continue()
  }
}

async function open(world: World): Promise<{ app: App; page: Page; lane: Lane }> {
  const { page } = await world.load()
  const lane = await Lane.watch(page)
  const { app } = await world.open(USER, BY_HAND, page)
  return { app, page, lane }
}

async function sync(...apps: App[]): Promise<void> {
  for (const app of apps) {
    const synced = await app.evaluate((m) => m.forceSync())
    const status = await app.evaluate((m) => m.status())
    expect(status).toMatchObject({ pending: 0, held: 0, lastError: null })
    expect(synced).toBe(true)
  }
}

/** Puts a note with a file of so many bytes, all `letter`. */
function putPhoto(app: App, id: string, bytes: number, letter: string): Promise<void> {
  return app.evaluate(
    (m, [id, bytes, letter]) => {
      const type = 'image/png'
      const photo = new File([letter.repeat(bytes)], `${id}.png`, { type, lastModified: 5 })
      return m.putNote(id, { photo })
    },
    [id, bytes, letter] as const,
  )
}

/** What a note's file is: its name, type, size, first letter and SHA-256. */
function photoOf(app: App, id: string): Promise<unknown> {
  return app.evaluate(async (m, id) => {
    const { photo } = ((await m.read('notes', id)) ?? {}) as { photo?: File }
    if (!(photo instanceof File)) return photo
    const digest = await crypto.subtle.digest('SHA-256', await photo.arrayBuffer())
    const hash = new Uint8Array(digest).slice(0, 4).join()
    const letter = await photo.slice(0, 1).text()
    return { name: photo.name, type: photo.type, size: photo.size, letter, hash }
  }, id)
}

test('a file goes in chunks, arrives whole, and the same bytes go once', async ({ world }) => {
  const here = await open(world)
  const there = await open(await world.device())
  await putPhoto(here.app, 'a', 2.5 * MIB, 'x')
  await sync(here.app)
  expect(here.lane.log).toEqual(['status', 'POST 0', `POST ${MIB}`, `POST ${2 * MIB}`])
  await putPhoto(here.app, 'b', 2.5 * MIB, 'x')
  await here.app.evaluate((m) => m.write({ do: 'cursorUpdate', store: 'notes', value: { n: 1 } }))
  await sync(here.app)
  expect(here.lane.log).toHaveLength(4)

  await sync(there.app)
  expect(there.lane.log).toEqual(['GET 0', `GET ${MIB}`, `GET ${2 * MIB}`])
  for (const id of ['a', 'b']) {
    const photo = await photoOf(here.app, id)
    expect(photo).toMatchObject({ name: `${id}.png`, type: 'image/png', size: 2.5 * MIB })
    expect(await photoOf(there.app, id)).toEqual(photo)
  }
  // What a device has sent itself is not fetched when it is pulled.
  await sync(here.app)
  expect(here.lane.log).toHaveLength(4)
})

test('an upload that broke off goes on after a reload, and without its record', async ({
  world,
}) => {
  const here = await open(world)
  await putPhoto(here.app, 'a', 3 * MIB, 'x')
  const photo = await photoOf(here.app, 'a')
  here.lane.fail = (line) => line === `POST ${MIB}`
  expect(await here.app.evaluate((m) => m.forceSync())).toBe(false)
  expect(await here.app.evaluate((m) => m.status())).toMatchObject({ pending: 1, held: 0 })
  here.lane.fail = () => false
  here.lane.log.length = 0

  const { app } = await world.load(here.page)
  await app.evaluate((m) => m.openApp())
  // Not attached: nobody hears of it.
  await app.evaluate((m) => m.write({ do: 'clear', store: 'notes' }))
  const start = { url: world.proxy.url, user: USER, options: BY_HAND }
  await app.evaluate((m, start) => m.start(start), start)
  await sync(app)
  expect(here.lane.log.slice(0, 2)).toEqual(['status', `POST ${MIB}`])

  const there = await open(await world.device())
  await sync(there.app)
  expect(await photoOf(there.app, 'a')).toEqual(photo)
})

test('a download that broke off goes on where it was, and tells of nothing before', async ({
  world,
}) => {
  const here = await open(world)
  await putPhoto(here.app, 'a', 3 * MIB, 'x')
  await sync(here.app)
  const there = await open(await world.device())
  there.lane.fail = (line) => line === `GET ${2 * MIB}`
  expect(await there.app.evaluate((m) => m.forceSync())).toBe(false)
  expect(await there.app.evaluate((m) => m.readAll('notes'))).toEqual([])
  there.lane.fail = () => false
  there.lane.log.length = 0
  await sync(there.app)
  expect(there.lane.log).toEqual([`GET ${2 * MIB}`])
  expect(await photoOf(there.app, 'a')).toEqual(await photoOf(here.app, 'a'))
})

test('a file that the server has lost leaves its record out, and the rest arrives', async ({
  world,
}) => {
  const here = await open(world)
  await putPhoto(here.app, 'a', 10, 'x')
  await here.app.evaluate((m) => m.putNote('b'))
  await sync(here.app)
  const there = await open(await world.device())
  const headers = { 'access-control-allow-origin': world.origin.url }
  await there.page.route('**/api/sync/blob/**', (route) =>
    route.fulfill({ status: 404, headers, json: { code: 'not-found', message: 'no such Blob' } }),
  )
  await sync(there.app)
  expect(await there.app.evaluate((m) => m.readAll('notes'))).toMatchObject([['b', { id: 'b' }]])
})

test.describe('a server with little room', () => {
  test.use({ serverFlags: ['--blob-bytes-max', '100000'] })

  test('holds the record of a file that is too large for it, and takes the others', async ({
    world,
  }) => {
    const { app } = await open(world)
    await app.evaluate((m) => m.putNotes(50))
    await putPhoto(app, 'large', 200_000, 'x')
    await putPhoto(app, 'small', 50_000, 'y')
    await app.evaluate((m) => m.forceSync())
    await app.evaluate((m) => m.until({ pending: 0, phase: 'idle' }))
    const issues = await app.evaluate((m) => m.listSyncIssues())
    expect(issues).toMatchObject([{ key: 'large', code: 'too-large' }])
    expect((await world.server.docs(USER, 'notes')).size).toBe(51)
  })
})

test.describe('two devices change one file', () => {
  async function conflict(world: World): Promise<{ here: App; there: App }> {
    const openWith = async (device: World): Promise<App> => {
      const { app } = await device.load()
      const start = { url: world.proxy.url, user: USER, options: BY_HAND }
      await app.evaluate((m, start) => m.startWith(start, 'manual'), start)
      return app
    }
    const here = await openWith(world)
    await putPhoto(here, 'a', 10, 'o')
    await sync(here)
    const there = await openWith(await world.device())
    await sync(there)
    await putPhoto(here, 'a', 20, 'h')
    await putPhoto(there, 'a', 30, 't')
    await sync(there)
    await here.evaluate((m) => m.forceSync())
    expect(await here.evaluate((m) => m.status())).toMatchObject({ conflicts: 1 })
    return { here, there }
  }

  /** The files of the only issue, by their first letters. */
  function issueOf(app: App): Promise<{ id: string; local: string; remote: string }> {
    return app.evaluate(async (m) => {
      const [issue] = await m.listSyncIssues()
      const letter = (value: unknown) => (value as { photo: File }).photo.slice(0, 1).text()
      const { id = '', local, remote } = issue ?? {}
      return { id, local: await letter(local), remote: await letter(remote) }
    })
  }

  for (const [take, letter] of [
    ['local', 'h'],
    ['remote', 't'],
  ] as const) {
    test(`and a person takes the ${take} one, after a reload and offline`, async ({ world }) => {
      const { there } = await conflict(world)
      const [page] = world.context.pages()
      const { app } = await world.load(page)
      const start = { url: world.proxy.url, user: USER, options: BY_HAND }
      await app.evaluate((m, start) => m.startWith(start, 'manual'), start)
      await world.online(false)
      const { id, local, remote } = await issueOf(app)
      expect([local, remote]).toEqual(['h', 't'])
      expect(
        await app.evaluate((m, [id, take]) => m.resolveSyncIssue(id, take), [id, take] as const),
      ).toBe(true)
      await world.online(true)
      await sync(app, there)
      expect(await photoOf(app, 'a')).toMatchObject({ letter })
      expect(await photoOf(there, 'a')).toMatchObject({ letter })
    })
  }

  test('and a person takes a third one', async ({ world }) => {
    const { here, there } = await conflict(world)
    const { id } = await issueOf(here)
    const resolved = await here.evaluate((m, id) => {
      const photo = new File(['zzz'], 'third', { lastModified: 7 })
      return m.resolveSyncIssue(id, { value: { id: 'a', photo } })
    }, id)
    expect(resolved).toBe(true)
    await sync(here, there)
    for (const app of [here, there]) {
      expect(await photoOf(app, 'a')).toMatchObject({ name: 'third', size: 3, letter: 'z' })
    }
  })
})
