import { spawnSync } from 'node:child_process'
import { build } from 'esbuild'
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

function synced(app: ReactApp | App): Promise<unknown> {
  return (app as App).evaluate((m) => m.until({ pending: 0, phase: 'idle' }))
}

test('the hook syncs while it is mounted, under StrictMode too', async ({ world }) => {
  const app = await openReact(world)
  await app.evaluate(async (m) => {
    m.mount()
    await m.until({ isInitialized: true })
    await m.putNote('one')
  })
  await synced(app)
  expect((await world.server.docs('ann', 'notes')).size).toBe(1)
  const confirmed = await app.evaluate(async (m) => {
    await m.putNote('two')
    return m.hook?.triggerBackup()
  })
  expect(confirmed).toBe(true)
  expect(await app.evaluate((m) => m.hook?.getSyncStatus())).toMatchObject({
    userId: 'ann',
    isEnabled: true,
    consecutiveFailures: 0,
    bufferedEvents: 0,
  })
})

test('a component renders again only when what it selects has changed', async ({ world }) => {
  const app = await openReact(world)
  await app.evaluate(async (m) => {
    m.mount()
    await m.until({ isInitialized: true, phase: 'idle' })
  })
  const before = await app.evaluate((m) => ({ ...m.renders }))
  await app.evaluate(async (m) => {
    for (let n = 0; n < 5; n++) {
      await m.putNote('n', { n })
      await m.until({ pending: 0, phase: 'idle' })
    }
  })
  const after = await app.evaluate((m) => ({ ...m.renders }))
  expect(after.held).toBe(before.held)
  expect(after.whole).toBeGreaterThan(before.whole ?? 0)

  await app.evaluate(async (m) => {
    await m.write({
      do: 'put',
      store: 'notes',
      value: { id: 'bad', file: JSON.parse('['.repeat(99) + ']'.repeat(99)) },
    })
    await m.until({ held: 1, phase: 'idle' })
  })
  expect(await app.evaluate(() => document.getElementById('held')?.textContent)).toBe('1')
})

test('the user is switched with the prop', async ({ world }) => {
  const app = await openReact(world)
  await app.evaluate(async (m) => {
    m.mount()
    await m.until({ userId: 'ann', isInitialized: true })
    m.setUser('bob')
    await m.until({ userId: 'bob' })
    await m.putNote('of bob')
  })
  await world.stored(({ records }) => records.some(({ space }) => space === '~bob'))
  expect((await world.server.docs('bob', 'notes')).size).toBe(1)
})

test('100 mounts leave one engine, and after the last nothing runs', async ({ world }) => {
  const app = await openReact(world)
  await app.evaluate(async (m) => {
    await m.remount(100)
    m.mount()
    await m.until({ isInitialized: true, isLeader: true })
    await m.putNote('one')
  })
  await synced(app)
  expect(world.proxy.pushes).toHaveLength(1)
  const locks = () =>
    app.evaluate(async () => {
      const { held, pending } = await navigator.locks.query()
      return [held?.length, pending?.length]
    })
  expect(await locks()).toEqual([1, 0])

  await app.evaluate(async (m) => {
    m.unmount()
    await m.until({ isInitialized: false })
    await m.putNote('captured only')
  })
  expect(await locks()).toEqual([0, 0])
  expect(await app.evaluate((m) => m.loggedKeys('notes'))).toEqual(['captured only'])
  expect(world.proxy.pushes).toHaveLength(1)
})

test('unmounting in the middle of a sync loses nothing', async ({ world }) => {
  const app = await openReact(world)
  let release: () => void = () => undefined
  const until = new Promise<void>((resolve) => {
    release = resolve
  })
  world.proxy.script((n) =>
    n === 1 ? { is: 'hold', until, next: { is: 'forward' } } : { is: 'forward' },
  )
  await app.evaluate(async (m) => {
    m.mount()
    await m.until({ isInitialized: true })
    await m.putNotes(20)
  })
  await world.proxy.until(({ pushes }) => pushes.length === 1)
  await app.evaluate(async (m) => {
    m.unmount()
    await m.until({ isInitialized: false })
  })
  release()
  await app.evaluate((m) => m.mount())
  await world.stored(({ records }) => records.length === 20)
  expect((await world.server.state()).versions.get('~ann')).toBe(20)
})

test('renders on a server, with the constant status', async () => {
  const source = `
    import { createElement } from 'react'
    import { renderToString } from 'react-dom/server'
    import { useCloudSync } from './www/src/react'
    function App() {
      const { status } = useCloudSync('ann')
      return createElement('p', null, status.phase + ' ' + status.isInitialized)
    }
    console.log(renderToString(createElement(App)))
  `
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: process.cwd(), loader: 'ts' },
    bundle: true,
    write: false,
    format: 'cjs',
    platform: 'node',
    logLevel: 'silent',
  })
  const { stdout } = spawnSync(process.execPath, ['-'], {
    input: outputFiles[0]?.text ?? '',
    encoding: 'utf8',
  })
  expect(stdout).toBe('<p>disabled false</p>\n')
})
