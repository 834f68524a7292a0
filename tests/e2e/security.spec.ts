import { expect, test } from '../support/e2e'

const USER = 'ann'
const CONNECT = "connect-src 'self' http://127.0.0.1:*"

test.describe('with a content security policy that lets WebAssembly run', () => {
  test.use({
    pageHeaders: {
      'content-security-policy': `default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; ${CONNECT}; require-trusted-types-for 'script'`,
    },
  })

  test('everything works, and nothing is reported', async ({ world }) => {
    const { page, app } = await world.load()
    const violations: string[] = []
    page.on('console', (message) => {
      if (message.text().includes('Content Security Policy')) violations.push(message.text())
    })
    await app.evaluate((m, url) => m.start({ url, user: 'ann' }), world.proxy.url)
    await app.evaluate(async (m) => {
      await m.putNotes(10)
      await m.until({ pending: 0, phase: 'idle' })
    })
    expect((await world.server.docs(USER, 'notes')).size).toBe(10)
    expect(violations).toEqual([])
  })
})

test.describe('with a content security policy that forbids WebAssembly', () => {
  test.use({
    pageHeaders: {
      'content-security-policy': `default-src 'none'; script-src 'self'; ${CONNECT}`,
    },
  })

  test('capture goes on, the status says why, and nothing hangs', async ({ world }) => {
    const { app } = await world.open(USER)
    const failed = await app.evaluate((m) => m.until({ phase: 'engine-failed' }))
    expect(failed.lastError?.code).toBe('engine-unavailable')

    await app.evaluate((m) => m.putNotes(10))
    expect(await app.evaluate((m) => m.loggedKeys('notes'))).toHaveLength(10)
    expect(await app.evaluate((m) => m.forceSync())).toBe(false)
    expect(await app.evaluate((m) => m.triggerBackup())).toBe(false)
    expect(world.proxy.pushes).toHaveLength(0)
  })
})

test('capture that went on without the engine is synced once the engine is there', async ({
  world,
}) => {
  const wasm = '**/tidesync_bg.wasm'
  await world.context.route(wasm, (route) => route.abort())
  const { page, app } = await world.open(USER)
  await app.evaluate((m) => m.until({ phase: 'engine-failed' }))
  await app.evaluate((m) => m.putNotes(10))

  await world.context.unroute(wasm)
  const again = await world.open(USER, {}, page)
  await again.app.evaluate((m) => m.until({ pending: 0, phase: 'idle' }))
  expect((await world.server.docs(USER, 'notes')).size).toBe(10)
})

test('the token is in no storage of the page (SEC2)', async ({ world }) => {
  const { app } = await world.open(USER)
  await app.evaluate(async (m) => {
    await m.putNotes(5)
    await m.until({ pending: 0, phase: 'idle' })
    await m.write({
      do: 'put',
      store: 'notes',
      value: { id: 'bad', file: JSON.parse('['.repeat(99) + ']'.repeat(99)) },
    })
    await m.until({ held: 1 })
  })
  const token = world.server.token(USER).split('.')[0] ?? ''
  const stored = await app.evaluate(async (m) => {
    const texts = [JSON.stringify({ ...localStorage }), JSON.stringify({ ...sessionStorage })]
    texts.push(document.cookie, JSON.stringify(await caches.keys()))
    const names = ['staged', 'held', 'meta', 'shadow', 'log.notes', 'log.tasks']
    for (const name of names) {
      for (const entry of await m.rawEntries(`tidesync.${name}`)) {
        texts.push(
          JSON.stringify(entry, (_, value) =>
            value instanceof Uint8Array ? new TextDecoder('latin1').decode(value) : value,
          ),
        )
      }
    }
    return texts.join('\n')
  })
  expect(stored).toContain('ann')
  expect(token.length).toBeGreaterThan(10)
  expect(stored).not.toContain(token)
})

test('pushes carry the token, no cookie, and only to the configured server', async ({ world }) => {
  const { page, app } = await world.load()
  const asked: string[] = []
  page.on('request', (request) => asked.push(new URL(request.url()).origin))
  await world.context.addCookies([{ name: 'session', value: 'secret', url: world.proxy.url }])
  await app.evaluate((m, url) => m.start({ url, user: 'ann' }), world.proxy.url)
  await app.evaluate(async (m) => {
    await m.putNote('one')
    await m.until({ pending: 0, phase: 'idle' })
  })
  const headers = world.proxy.pushes[0]?.headers
  expect(headers?.authorization).toMatch(/^Bearer [\w-]+\.[\w-]+\.[\w-]+$/)
  expect(headers?.cookie).toBeUndefined()
  expect(new Set(asked)).toEqual(new Set([world.origin.url, world.proxy.url]))
})

test('lines for the logger hold no user data and no token (SEC19)', async ({ world }) => {
  const { app } = await world.open(USER)
  await world.server.stop()
  await app.evaluate(async (m) => {
    await m.putNote('canary-key', { text: 'canary-value' })
    await m.until({ disabledReason: 'failures' })
  })
  await world.server.start()
  await app.evaluate((m) => m.forceSync())
  const lines = (await app.evaluate((m) => m.lines)).join('\n')
  expect(lines).toContain('Sync completed')
  expect(lines).not.toMatch(/canary|Bearer|eyJ/)
})
