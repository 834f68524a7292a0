import type { BrowserContext, JSHandle, Page } from '@playwright/test'
import type { StartOptions } from '../e2e/fixtures/app'
import { type Origin, openModule } from './page'
import { TestProxy } from './proxy'
import { TestServer } from './server'
import { test as base } from './test'

/** The app's module in a page. */
export type App = JSHandle<typeof import('../e2e/fixtures/app')>

/** Gives the token of a request, as the app's sign-in would. */
export type TokenSource = (request: {
  readonly reason: 'request' | 'expired'
  readonly userId: string
}) => string | null | Promise<string | null>

/** Options of a spec file, set by `test.use({ … })`. */
export interface WorldOptions {
  /** Flags of `tidesync serve`. */
  serverFlags: string[]
}

/** A server, what stands before it, and the app's pages. */
export class World {
  readonly server: TestServer
  readonly proxy: TestProxy
  readonly context: BrowserContext
  readonly origin: Origin
  /** Replace it to sign out or to hand out bad tokens. */
  token: TokenSource
  readonly #devices: World[] = []

  constructor(server: TestServer, proxy: TestProxy, context: BrowserContext, origin: Origin) {
    this.server = server
    this.proxy = proxy
    this.context = context
    this.origin = origin
    this.token = ({ userId }) => server.token(userId)
  }

  /** Lets the context's pages ask for tokens. */
  async serveTokens(context: BrowserContext = this.context): Promise<void> {
    await context.exposeFunction('testToken', (request: Parameters<TokenSource>[0]) =>
      this.token(request),
    )
  }

  /** Another device: a browser context of its own with nothing in its storage. */
  async device(): Promise<World> {
    const context = await this.context.browser()?.newContext()
    if (context === undefined) throw new Error('a device needs a browser: use the memory profile')
    const device = new World(this.server, this.proxy, context, this.origin)
    this.#devices.push(device)
    device.token = (request) => this.token(request)
    await device.serveTokens()
    return device
  }

  /** Whether this device's network is there. */
  async online(online: boolean): Promise<void> {
    await this.context.setOffline(!online)
  }

  async closeDevices(): Promise<void> {
    await Promise.all(this.#devices.map(({ context }) => context.close()))
  }

  /** Opens a tab (or `page` again) with the app's module and nothing started. */
  async load(page?: Page): Promise<{ page: Page; app: App }> {
    const tab = page ?? (await this.context.newPage())
    return { page: tab, app: await openModule(tab, this.origin) }
  }

  /** Opens a tab (or `page` again) and starts the app in it. */
  async open(
    user: string | null,
    options: StartOptions['options'] = {},
    page?: Page,
  ): Promise<{ page: Page; app: App }> {
    const tab = await this.load(page)
    await tab.app.evaluate((m, start) => m.start(start), { url: this.proxy.url, user, options })
    return tab
  }

  /** Resolves when the server's database holds what `done` looks for; asks after every push. */
  async stored(done: (state: Awaited<ReturnType<TestServer['state']>>) => boolean): Promise<void> {
    let seen = -1
    for (;;) {
      await this.proxy.until(({ pushes }) => seen < pushes.filter((it) => it.endedAt).length)
      seen = this.proxy.pushes.filter((it) => it.endedAt).length
      if (done(await this.server.state())) return
    }
  }
}

/** Playwright's `test` with a {@link World} of its own for each test. */
export const test = base.extend<WorldOptions & { world: World }>({
  entry: 'tests/e2e/fixtures/app.ts',
  serverFlags: [[], { option: true }],
  world: async ({ context, origin, serverFlags }, use) => {
    const server = await TestServer.start(['--allow-origin', origin.url, ...serverFlags])
    const proxy = await TestProxy.start(server.url)
    const world = new World(server, proxy, context, origin)
    await world.serveTokens()
    await use(world)
    await world.closeDevices()
    await proxy.refuse()
    await server.dispose()
  },
})

export { expect } from '@playwright/test'
