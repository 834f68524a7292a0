import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test as base, chromium } from '@playwright/test'
import { CHROMIUM_FLAGS, chromiumPath } from './chromium'
import { type Origin, serveModule } from './page'

/** Options of a spec file, set by `test.use({ … })`. */
export interface SpecOptions {
  /** The module that the pages of this file load, as a path from the repository's root. */
  entry: string
  /**
   * `memory`, the default, is an incognito context: quick, IndexedDB in memory.
   * `disk` is a fresh profile on disk for each test: IndexedDB as users have it.
   */
  profile: 'memory' | 'disk'
  /** Headers of the pages, such as their content security policy. */
  pageHeaders: Record<string, string>
}

/** What the tests of a spec file get. */
export interface SpecFixtures {
  /** An origin of this test alone that serves `entry`; all its pages share the same databases. */
  origin: Origin
}

/** Playwright's `test`, with an origin that serves a bundled module and a choice of profile. */
export const test = base.extend<SpecOptions & SpecFixtures>({
  entry: ['', { option: true }],
  profile: ['memory', { option: true }],
  pageHeaders: [{}, { option: true }],
  origin: async ({ entry, pageHeaders }, use) => {
    const origin = await serveModule(entry, { headers: pageHeaders })
    await use(origin)
    await origin.close()
  },
  context: async ({ profile, context, headless }, use) => {
    if (profile === 'memory') {
      await use(context)
      return
    }
    const directory = await mkdtemp(join(tmpdir(), 'tidesync-profile-'))
    const persistent = await chromium.launchPersistentContext(directory, {
      headless: headless ?? true,
      executablePath: chromiumPath(),
      args: [...CHROMIUM_FLAGS],
    })
    await use(persistent)
    await persistent.close()
    await rm(directory, { recursive: true, force: true, maxRetries: 5 })
  },
})

export { expect } from '@playwright/test'
