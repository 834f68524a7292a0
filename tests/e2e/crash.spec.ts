import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium, type Page } from '@playwright/test'
import { CHROMIUM_FLAGS, chromiumPath } from '../support/chromium'
import { type App, expect, test, World } from '../support/e2e'

const USER = 'ann'
const KILLS = 10

test('a browser that is killed in the middle of writing loses and doubles nothing', async ({
  world,
}) => {
  const profile = await mkdtemp(join(tmpdir(), 'tidesync-crash-'))
  const committed = new Set<string>()
  // A browser that is killed within seconds of an origin's first database may forget the whole
  // origin: it notes late where an origin's storage is. So one life ends in peace first.
  const first = await launch(profile, world)
  await first.world.open(USER)
  await first.context.close()
  for (let life = 0; life < KILLS; life++) {
    const browser = await launch(profile, world)
    await writeUntilKilled(browser, life, committed)
  }

  const last = await launch(profile, world)
  const { app } = await last.world.open(USER)
  await app.evaluate((m) => m.until({ pending: 0, phase: 'idle' }))
  const local = await app.evaluate((m) =>
    m.rawEntries('notes').then((all) => all.map(([id]) => id)),
  )
  await last.context.close()
  await rm(profile, { recursive: true, force: true, maxRetries: 5 })

  const docs = await world.server.docs(USER, 'notes')
  expect(committed.size).toBeGreaterThan(KILLS)
  // Now and then a Chromium that was killed has forgotten the whole database: then what the server did
  // not have of lives up to a kill is gone, and what it had is here again. Of later lives all is here,
  // and what is here, the server has, and has it once.
  const here = new Set<unknown>(local)
  const gone = [...committed].filter((id) => !here.has(id))
  const lastGone = Math.max(-1, ...gone.map(lifeOf))
  const restored = [...docs.keys()].filter((rid) => lifeOf(rid.slice(1)) <= lastGone)
  expect(gone.filter((id) => docs.has(`s${id}`))).toEqual([])
  expect(restored.filter((rid) => !here.has(rid.slice(1)))).toEqual([])
  expect(local.filter((id) => !docs.has(`s${id}`))).toEqual([])
  const { operations, versions } = await world.server.state()
  expect(operations).toHaveLength(docs.size)
  expect(versions.get(`~${USER}`)).toBe(docs.size)
})

/** In which browser a note was written: `life7-12` in the seventh. */
function lifeOf(id: string): number {
  return Number(/^life(\d+)-/.exec(id)?.[1])
}

interface Browser {
  readonly context: BrowserContext
  readonly page: Page
  readonly world: World
}

async function launch(profile: string, { server, proxy, origin }: World): Promise<Browser> {
  const context = await chromium.launchPersistentContext(profile, {
    headless: true,
    executablePath: chromiumPath(),
    args: [...CHROMIUM_FLAGS],
  })
  const world = new World(server, proxy, context, origin)
  await world.serveTokens()
  return { context, page: await context.newPage(), world }
}

/** Writes note after note and kills the browser once some are committed; what is under way is cut. */
async function writeUntilKilled(
  { context, page, world }: Browser,
  life: number,
  committed: Set<string>,
): Promise<void> {
  const enough = 5 + 3 * life
  let soFar = 0
  let reached: () => void = () => undefined
  const ripe = new Promise<void>((resolve) => {
    reached = resolve
  })
  await page.exposeFunction('testCommitted', (id: string) => {
    committed.add(id)
    soFar += 1
    if (soFar === enough) reached()
  })
  const closed = new Promise((resolve) => context.once('close', resolve))
  const { app } = await world.open(USER, {}, page)
  const writing = writeForEver(app, life).catch(() => 'the browser is gone')
  await ripe
  await kill(page)
  await closed
  await writing
}

function writeForEver(app: App, life: number): Promise<void> {
  return app.evaluate(async (m, prefix) => {
    const { testCommitted } = window as unknown as { testCommitted(id: string): Promise<void> }
    for (let n = 0; ; n++) {
      const id = `${prefix}-${n}`
      await m.putNote(id, { text: 'x'.repeat(n % 500) })
      void testCommitted(id)
    }
  }, `life${life}`)
}

/**
 * SIGKILL to the browser and all its processes: what they had in memory is gone. One that outlives the
 * others would hold the storage that the next browser opens.
 */
async function kill(page: Page): Promise<void> {
  const browser = page.context().browser()
  const session = await browser?.newBrowserCDPSession()
  if (session === undefined) throw new Error('the context has no browser')
  const { processInfo } = await session.send('SystemInfo.getProcessInfo')
  // The browser leads a process group of its own.
  for (const { id, type } of processInfo) if (type === 'browser') process.kill(-id, 'SIGKILL')
}
