import { opHash } from '../../www/src/__tests__/hashes'
import { expect, test, type World } from '../support/e2e'

const USER = 'ann'
/** Nothing is synced but when a test says so. */
const BY_HAND = { live: false, timing: { bufferMs: 3_600_000, throttleMs: 0 } }

type App = import('@playwright/test').JSHandle<typeof import('./fixtures/values')>

test.use({ entry: 'tests/e2e/fixtures/values.ts' })

async function open(world: World): Promise<App> {
  const { app } = await world.open(USER, BY_HAND)
  return app as unknown as App
}

async function sync(...apps: App[]): Promise<void> {
  for (const app of apps) {
    const synced = await app.evaluate((m) => m.forceSync())
    const issues = await app.evaluate((m) => m.listSyncIssues())
    expect(issues.map(({ code, message }) => `${code} ${message}`)).toEqual([])
    const status = await app.evaluate((m) => m.status())
    expect(status).toMatchObject({ pending: 0, held: 0, lastError: null })
    expect(synced).toBe(true)
  }
}

function pictures(app: App): Promise<[string, string][]> {
  return app.evaluate((m) => m.pictures())
}

test('every value and key is the same on every device: created, updated, deleted, pulled, restored', async ({
  world,
}) => {
  const here = await open(world)
  const there = await open(await world.device())
  const { NAMES, KEY_NAMES } = await here.evaluate(({ NAMES, KEY_NAMES }) => ({ NAMES, KEY_NAMES }))
  expect(NAMES.length).toBeGreaterThanOrEqual(40)
  expect(KEY_NAMES.length).toBeGreaterThanOrEqual(12)

  await here.evaluate((m) => m.createAll())
  const created = await pictures(here)
  expect(created).toHaveLength(NAMES.length + KEY_NAMES.length)
  await sync(here, there)
  expect(await pictures(there)).toEqual(created)

  await here.evaluate((m) => m.wrapAll(1))
  await sync(here, there)
  const wrapped = await pictures(here)
  expect(wrapped).not.toEqual(created)
  expect(await pictures(there)).toEqual(wrapped)

  // What was pulled and is put back with another field beside it comes back as it was.
  await there.evaluate((m) => m.touchAll(2))
  await sync(there, here)
  const touched = await pictures(there)
  expect(touched).not.toEqual(wrapped)
  expect(await pictures(here)).toEqual(touched)

  const restored = await open(await world.device())
  expect(await restored.evaluate((m) => m.restore())).toBe(true)
  expect(await pictures(restored)).toEqual(touched)

  await here.evaluate((m) => m.deleteAll())
  await sync(here, there, restored)
  for (const app of [here, there, restored]) expect(await pictures(app)).toEqual([])
})

test('what has no wire form is held with its place, and stays as it is', async ({ world }) => {
  const app = await open(world)
  const names = await app.evaluate((m) => m.putUnsendable())
  await app.evaluate((m) => m.forceSync())
  const held = await app.evaluate(async (m) => {
    const issues = await m.listSyncIssues()
    return issues.map(({ key, code, message }) => ({ key, code, message }))
  })
  expect(held).toHaveLength(names.length)
  for (const name of names) {
    const code = name === 'Blob' ? 'too-large' : 'unsupported-type'
    const issue = held.find(({ key }) => key === name)
    expect(issue).toMatchObject({ code })
    expect(issue?.message).toContain(`$.list[0].odd: ${name}`)
  }
  const records = await app.evaluate(async (m) => (await m.readAll('loose')).length)
  expect(records).toBe(names.length)
})

/** Brings values to the server as another client would, under the keys `s0`, `s1` and so on. */
async function push(world: World, values: readonly string[]): Promise<void> {
  const ops = values.map((value, n) => {
    const op = { table: 'loose', rid: `s${n}`, base: 0, value }
    const head = { op: `test.${n}`, space: '~', kind: 'put', hlc: '0198f2c4a5b00000' }
    return { ...head, ...op, value: JSON.parse(value), hash: opHash(op) }
  })
  const request = { protocol: 1, client: `${'a'.repeat(21)}A`, subject: USER, batch: 'b', ops }
  const response = await fetch(`${world.server.url}/api/sync/push`, {
    method: 'POST',
    headers: { authorization: `Bearer ${world.server.token(USER)}` },
    body: JSON.stringify(request),
  })
  const { verdicts } = (await response.json()) as { verdicts: { verdict: string }[] }
  expect(verdicts.map(({ verdict }) => verdict)).toEqual(values.map(() => 'applied'))
}

test('a value that this browser cannot make is left out, and the others arrive', async ({
  world,
}) => {
  await push(world, ['1', '["~regexp","(",""]', '{"n":["~date",5]}', '["~regexp","a/b",""]', '5'])
  const app = await open(world)
  await app.evaluate((m) => m.forceSync())
  expect(await app.evaluate((m) => m.readAll('loose'))).toEqual([
    ['0', 1],
    ['2', { n: new Date(5) }],
    ['4', 5],
  ])
  const lines = await app.evaluate((m) => m.lines)
  expect(lines.filter((line) => line.includes('unsupported-type'))).toHaveLength(2)
})
