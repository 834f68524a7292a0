import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  expect as baseExpect,
  test as baseTest,
  type FrameLocator,
  type Locator,
  type Page,
} from '@playwright/test'
import { createServer } from 'vite'
import { TestServer } from '../support/server'

const DEMO = join(import.meta.dirname, '../../www/demo')

/** A buffer, a throttle and a backoff take seconds. */
const expect = baseExpect.configure({ timeout: 30_000 })

/** Sooner than any sync that is not told of a change: once a minute. */
const LIVE = { timeout: 15_000 }

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

test.use({ actionTimeout: 30_000, viewport: { width: 1280, height: 880 } })

/** A device: as a page of its own, or as a frame of the page that shows all. */
type Device = Page | FrameLocator

function frame(page: Page, name: 'Laptop' | 'Phone'): FrameLocator {
  return page.frameLocator(`iframe[title="${name}"]`)
}

function headline(device: Device): Locator {
  return device.locator('.headline')
}

function fact(device: Device, name: string): Locator {
  return device.getByRole('term').filter({ hasText: name }).locator('xpath=following-sibling::dd')
}

function button(device: Device, name: string): Locator {
  return device.getByRole('button', { name, exact: true })
}

/** A note in a device's list. */
function row(device: Device, title: string): Locator {
  return device.locator('.row').filter({ hasText: title })
}

function text(device: Device): Locator {
  return device.getByLabel('Text', { exact: true })
}

/** The stage with two devices that have the first notes, of which `title` is open on both. */
async function openBoth(
  page: Page,
  url: string,
  title: string,
): Promise<[FrameLocator, FrameLocator]> {
  await page.goto(url)
  const [laptop, phone] = [frame(page, 'Laptop'), frame(page, 'Phone')]
  for (const device of [laptop, phone]) {
    await row(device, title).click()
    await expect(headline(device)).toHaveText('Everything is synced')
  }
  return [laptop, phone]
}

/** The laptop alone, with what is under its hood. */
async function openLaptop(page: Page, url: string): Promise<void> {
  await page.goto(`${url}?device=laptop`)
  await page.getByText('Under the hood').click()
  await expect(fact(page, 'Last sync')).toContainText(/just now|ago/)
  await row(page, 'Read me first').click()
  await expect(headline(page)).toHaveText('Everything is synced')
}

/** From now on; the function gives the notes that have been shown as just arrived, however shortly. */
async function watchArrivals(device: FrameLocator): Promise<() => Promise<readonly string[]>> {
  const seen = await device.locator('.note-list').evaluateHandle((list) => {
    const names = new Set<string | null>()
    const look = () => {
      for (const lit of list.querySelectorAll('[data-arrived="true"]')) names.add(lit.textContent)
    }
    new MutationObserver(look).observe(list, { attributes: true, subtree: true })
    return names
  })
  return () => seen.evaluate((names) => [...names].map(String))
}

/** The notes that the server has. */
async function documents(server: TestServer): Promise<unknown[]> {
  const { records } = await server.state()
  return records.filter(({ deleted }) => !deleted).map(({ doc }) => doc)
}

test('what is typed on one device arrives on the other, and is shown for a moment', async ({
  demo,
  page,
}) => {
  const [laptop, phone] = await openBoth(page, demo.url, 'Garden')
  const [here, there] = [await watchArrivals(laptop), await watchArrivals(phone)]
  await text(laptop).fill('Sow in March')
  await expect(text(phone)).toHaveValue('Sow in March', LIVE)
  await expect.poll(there).toEqual(['synced: Garden'])
  await expect(row(phone, 'Garden')).toHaveAttribute('data-arrived', 'false')
  expect(await here()).toEqual([])

  await button(phone, 'New note').click()
  await expect(phone.getByLabel('Title')).toBeFocused()
  await page.keyboard.type('Peas')
  await expect(row(laptop, 'Peas')).toBeVisible(LIVE)
  // What is open stays open.
  await expect(laptop.getByLabel('Title')).toHaveValue('Garden')
  await button(phone, 'Delete note').click()
  await expect(row(laptop, 'Peas')).toHaveCount(0, LIVE)
  expect(await documents(demo.server)).toContainEqual(
    expect.objectContaining({ title: 'Garden', text: 'Sow in March' }),
  )
})

test('one device offline: a reload loses nothing, and both fields of a note survive', async ({
  demo,
  page,
}) => {
  const [laptop, phone] = await openBoth(page, demo.url, 'Garden')
  await button(phone, 'Go offline').click()
  await expect(headline(phone)).toHaveText('Offline')
  await phone.getByLabel('Title').fill('Garden in spring')
  await expect(headline(phone)).toHaveText('1 change waiting, offline')
  await expect(row(phone, 'Garden')).toHaveAccessibleName('waiting: Garden in spring')
  await text(laptop).fill('Sow in March')
  await expect(headline(laptop)).toHaveText('Everything is synced')

  await page.reload()
  await expect(headline(phone)).toHaveText('1 change waiting, offline')
  await expect(phone.getByLabel('Title')).toHaveValue('Garden in spring')
  await button(phone, 'Go online').click()
  for (const device of [laptop, phone]) {
    await expect(device.getByLabel('Title')).toHaveValue('Garden in spring', LIVE)
    await expect(text(device)).toHaveValue('Sow in March', LIVE)
    await expect(headline(device)).toHaveText('Everything is synced')
    await expect(row(device, 'Garden')).toHaveAccessibleName('synced: Garden in spring')
  }
})

for (const { choice, outcome } of [
  { choice: 'Keep mine', outcome: 'Tomatoes' },
  { choice: 'Take theirs', outcome: 'Peas' },
  { choice: 'Write something else', outcome: 'Peas and tomatoes' },
]) {
  test(`a conflict, decided by hand: ${choice}`, async ({ demo, page }) => {
    const [laptop, phone] = await openBoth(page, demo.url, 'Garden')
    await button(phone, 'Go offline').click()
    await text(phone).fill('Tomatoes')
    await text(laptop).fill('Peas')
    await expect(headline(laptop)).toHaveText('Everything is synced')
    await button(phone, 'Go online').click()
    await expect(headline(phone)).toContainText('1 conflict to settle')
    await expect(row(phone, 'Garden')).toHaveAccessibleName('conflict: Garden')
    // Neither has taken the other's place, also after a reload.
    await page.reload()
    await expect(text(laptop)).toHaveValue('Peas')
    await expect(text(phone)).toHaveValue('Tomatoes')
    await expect(phone.getByLabel('On this device')).toContainText('Tomatoes')
    await expect(phone.getByLabel('On the server')).toContainText('Peas')
    await expect(laptop.getByLabel('To decide')).toHaveCount(0)

    await button(phone, 'Decide').press('Enter')
    await expect(phone.getByLabel('To decide')).toBeFocused()
    await button(phone, choice).press('Enter')
    if (choice === 'Write something else') {
      await expect(phone.getByLabel('Text that counts')).toBeFocused()
      await page.keyboard.type(outcome)
      await button(phone, 'Save this').press('Enter')
    }
    await expect(phone.getByLabel('To decide')).toHaveCount(0)
    await expect(phone.locator('#status')).toBeFocused()
    for (const device of [laptop, phone]) {
      await expect(text(device)).toHaveValue(outcome, LIVE)
      await expect(headline(device)).toHaveText('Everything is synced')
    }
    expect(await documents(demo.server)).toContainEqual(
      expect.objectContaining({ title: 'Garden', text: outcome }),
    )
  })
}

test('a broken server is tried again, counting down, until it is repaired', async ({
  demo,
  page,
}) => {
  await openLaptop(page, demo.url)
  await button(page, 'Break the server').click()
  await text(page).fill('Written while the server was broken')
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

test('two tabs of a device tell the same, and one of them leads', async ({
  demo,
  page,
  context,
}) => {
  await openLaptop(page, demo.url)
  const second = await context.newPage()
  await openLaptop(second, demo.url)
  await expect(fact(page, 'This tab')).toContainText('Leader')
  await expect(fact(second, 'This tab')).toContainText('Follower')

  await button(page, 'Go offline').click()
  await text(second).fill('Written in the second tab')
  for (const tab of [page, second]) {
    await expect(headline(tab)).toHaveText('1 change waiting, offline')
    await expect(text(tab)).toHaveValue('Written in the second tab')
    await expect(row(tab, 'Read me first')).toHaveAccessibleName('waiting: Read me first')
  }
  await button(second, 'Go online').click()
  for (const tab of [page, second]) {
    await expect(headline(tab)).toHaveText('Everything is synced')
  }

  await page.close()
  await expect(fact(second, 'This tab')).toContainText('Leader')
})

test('each user has databases of their own', async ({ demo, page }) => {
  const [laptop] = await openBoth(page, demo.url, 'Garden')
  await laptop.getByLabel('Title').fill('Only Ada’s')
  await expect(row(frame(page, 'Phone'), 'Only Ada’s')).toBeVisible(LIVE)
  await page.getByRole('link', { name: 'Grace' }).click()
  await expect(page.getByRole('heading', { name: 'What connects this app' })).toBeVisible()
  for (const device of [laptop, frame(page, 'Phone')]) {
    await expect(row(device, 'Garden')).toBeVisible()
    await expect(row(device, 'Only Ada’s')).toHaveCount(0)
  }
  const { records } = await demo.server.state()
  const spaces = new Set(records.map(({ space }) => space))
  expect([...spaces].sort()).toEqual(['~ada', '~grace'])
})

test('a thousand notes are one click and one transaction, and reach the other device', async ({
  demo,
  page,
}) => {
  const [laptop, phone] = await openBoth(page, demo.url, 'Garden')
  await laptop.getByText('Under the hood').click()
  await button(laptop, 'Add 1,000 notes').click()
  await expect(laptop.getByText('100 of 1,003 notes')).toBeVisible()
  await expect(phone.getByText('100 of 1,003 notes')).toBeVisible()
  await button(laptop, 'Back up').click()
  await expect(laptop.getByText('Back up: true (all confirmed)')).toBeVisible()
  await expect(phone.locator('[data-arrived="true"]')).toHaveCount(0)
  expect(await documents(demo.server)).toHaveLength(1_003)
})

test('the demo fits a phone, and everything in it is reached by keyboard', async ({
  demo,
  page,
}) => {
  await page.setViewportSize({ width: 360, height: 740 })
  await page.goto(demo.url)
  const [laptop, phone] = [frame(page, 'Laptop'), frame(page, 'Phone')]
  await expect(row(laptop, 'Read me first')).toHaveAccessibleName('synced: Read me first')
  await expect(phone.getByRole('heading', { name: 'Phone' })).toBeHidden()
  const inDevice = [
    ...['Go offline', 'New note', /Read me first$/, /Shopping$/, /Garden$/],
    ...['Title', 'Text', 'Delete note', 'Under the hood'],
  ]
  await reach(page, page, ['Ada', 'Grace', 'Break the server', /^Laptop/, /^Phone/])
  await reach(page, laptop, inDevice)
  await reach(page, page, ['The code'])

  await page.getByRole('button', { name: 'Phone' }).press('Enter')
  await expect(phone.getByRole('heading', { name: 'Phone' })).toBeVisible()
  await expect(laptop.getByRole('heading', { name: 'Laptop' })).toBeHidden()
  await reach(page, phone, inDevice)
  for (const each of page.frames()) {
    expect(await each.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true)
  }
})

/** Goes on by the Tab key, and finds each of these, outlined and in sight. */
async function reach(
  page: Page,
  device: Device,
  names: readonly (string | RegExp)[],
): Promise<void> {
  for (const name of names) {
    await page.keyboard.press('Tab')
    const focused = device.locator(':focus')
    await expect(focused).toHaveAccessibleName(name)
    await expect(focused).toHaveCSS('outline-style', 'solid')
    await expect(focused).toBeInViewport()
  }
}
