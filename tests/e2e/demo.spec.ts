import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect as baseExpect, test as baseTest, type Locator, type Page } from '@playwright/test'
import { createServer } from 'vite'
import { TestServer } from '../support/server'

const DEMO = join(import.meta.dirname, '../../www/demo')

/** The demo syncs at the default times: a buffer, a throttle and a backoff take seconds. */
const expect = baseExpect.configure({ timeout: 30_000 })

/** The demo as `npm start` serves it, with a server and browser profile of each test's own. */
interface Demo {
  readonly url: string
  readonly server: TestServer
}

const test = baseTest.extend<{ demo: Demo }>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the fixtures it needs from it
  demo: async ({}, use) => {
    const cacheDir = await mkdtemp(join(tmpdir(), 'tidesync-demo-'))
    const server = await TestServer.start([])
    process.env.VITE_TIDESYNC_URL = server.url
    const web = await createServer({
      root: DEMO,
      cacheDir,
      logLevel: 'warn',
      server: { host: '127.0.0.1', port: 0, hmr: false },
    })
    await web.listen()
    await use({ url: web.resolvedUrls?.local[0] ?? '', server })
    await web.close()
    await server.dispose()
    await rm(cacheDir, { recursive: true, force: true })
  },
})

test.use({ actionTimeout: 30_000 })

function headline(page: Page): Locator {
  return page.locator('.headline')
}

function fact(page: Page, name: string): Locator {
  return page.getByRole('term').filter({ hasText: name }).locator('xpath=following-sibling::dd')
}

function button(page: Page, name: string): Locator {
  return page.getByRole('button', { name, exact: true })
}

async function openSynced(page: Page, url: string): Promise<void> {
  await page.goto(url)
  await expect(fact(page, 'Last sync')).toContainText(/just now|ago/)
  await expect(headline(page)).toHaveText('Everything is synced')
}

/** The values that the server has in one of the user's tables. */
async function documents(server: TestServer, table: string): Promise<unknown[]> {
  const { records } = await server.state()
  return records.filter((record) => record.table === table).map(({ doc }) => doc)
}

test('a workspace and a file reach the server, and outlive being offline', async ({
  demo,
  page,
}) => {
  await openSynced(page, demo.url)
  await button(page, 'New workspace').click()
  await expect(page.getByLabel('Workspace name')).toBeFocused()
  await page.keyboard.type('Garden')
  await button(page, 'New file').click()
  await expect(page.getByLabel('File name')).toBeFocused()
  await page.keyboard.type('Peas')
  await expect(headline(page)).toHaveText(/changes? waiting|syncing/i)
  await expect(headline(page)).toHaveText('Everything is synced')
  expect(await documents(demo.server, 'workspaces')).toContainEqual(
    expect.objectContaining({ name: 'Garden' }),
  )
  expect(await documents(demo.server, 'files')).toContainEqual(
    expect.objectContaining({ name: 'Peas', content: '' }),
  )

  await button(page, 'Go offline').click()
  await expect(headline(page)).toHaveText('Offline')
  await page.getByLabel('Text').fill('Sow in March')
  await expect(headline(page)).toHaveText('1 change waiting, offline')
  await page.reload()
  await expect(headline(page)).toHaveText('1 change waiting, offline')
  await expect(page.getByLabel('Text')).toHaveValue('Sow in March')

  await button(page, 'Go online').click()
  await expect(headline(page)).toHaveText('Everything is synced')
  expect(await documents(demo.server, 'files')).toContainEqual(
    expect.objectContaining({ name: 'Peas', content: 'Sow in March' }),
  )
})

test('a broken server is tried again, counting down, until it is repaired', async ({
  demo,
  page,
}) => {
  await openSynced(page, demo.url)
  await button(page, 'Break the server').click()
  await page.getByLabel('Text').fill('Written while the server was broken')
  await expect(headline(page)).toHaveText(/^1 change waiting, next try in [5-8] s$/)
  await expect(headline(page)).toHaveText(/^1 change waiting, next try in [1-4] s$/)
  await expect(fact(page, 'Failures')).toContainText('1')
  await expect(fact(page, 'Next try')).toContainText(/in \d s/)

  await button(page, 'Repair the server').click()
  await button(page, 'Sync now').click()
  await expect(page.getByText('Sync now: true (all confirmed)')).toBeVisible()
  await expect(headline(page)).toHaveText('Everything is synced')
  await expect(fact(page, 'Failures')).toContainText('0')
})

test('two tabs tell the same, and one of them leads', async ({ demo, page, context }) => {
  await openSynced(page, demo.url)
  const second = await context.newPage()
  await openSynced(second, demo.url)
  await expect(fact(page, 'This tab')).toContainText('Leader')
  await expect(fact(second, 'This tab')).toContainText('Follower')

  await button(page, 'Go offline').click()
  await second.getByLabel('Text').fill('Written in the second tab')
  for (const tab of [page, second]) {
    await expect(headline(tab)).toHaveText('1 change waiting, offline')
    await expect(tab.getByLabel('Text')).toHaveValue('Written in the second tab')
  }
  await button(second, 'Go online').click()
  for (const tab of [page, second]) {
    await expect(headline(tab)).toHaveText('Everything is synced')
  }

  await page.close()
  await expect(fact(second, 'This tab')).toContainText('Leader')
})

test('each user has a database of their own', async ({ demo, page }) => {
  await openSynced(page, demo.url)
  await button(page, 'New workspace').click()
  await page.keyboard.type('Only Ada’s')
  await page.getByRole('link', { name: 'Grace' }).click()
  await expect(page.getByRole('heading', { name: 'Sync status of Grace' })).toBeVisible()
  await expect(fact(page, 'Last sync')).toContainText(/just now|ago/)
  await expect(button(page, 'Only Ada’s')).toHaveCount(0)
  const { records } = await demo.server.state()
  const spaces = new Set(records.map(({ space }) => space))
  expect([...spaces].sort()).toEqual(['~ada', '~grace'])
})

test('a thousand files are one click, one transaction and a confirmed backup', async ({
  demo,
  page,
}) => {
  await openSynced(page, demo.url)
  await button(page, 'Add 1,000 files').click()
  await expect(page.getByText('100 of 1,001 files')).toBeVisible()
  await button(page, 'Back up').click()
  await expect(page.getByText('Back up: true (all confirmed)')).toBeVisible()
  expect(await documents(demo.server, 'files')).toHaveLength(1_001)
})

test('the demo fits a phone, and everything in it is reached by keyboard', async ({
  demo,
  page,
}) => {
  await page.setViewportSize({ width: 360, height: 740 })
  await openSynced(page, demo.url)
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360)
  const order = [
    ...['Skip to the sync status', 'Ada', 'Grace'],
    ...['New workspace', 'Getting started', 'Workspace name', 'Delete workspace'],
    ...['New file', /^Read me first/, 'Add 1,000 files', 'File name', 'Text', 'Delete file'],
    ...['Sync now', 'Back up', 'Auto-sync', 'Go offline', 'Break the server', 'Open a second tab'],
    ...['What happens', 'The code', 'Sync status: Everything is synced'],
  ]
  const focused = page.locator(':focus')
  for (const name of order) {
    await page.keyboard.press('Tab')
    await expect(focused).toHaveAccessibleName(name)
    await expect(focused).toHaveCSS('outline-style', 'solid')
    await expect(focused).toBeInViewport()
  }
})
