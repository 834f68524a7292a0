import { defineConfig } from '@playwright/test'
import { CHROMIUM_FLAGS, chromiumPath } from './tests/support/chromium'

const FIVE_MINUTES = 300_000
/** The schedule in real time: minutes of waiting, so it is run on its own. */
const DEFAULTS = '**/defaults.spec.ts'

/** Tests in the system's Chromium: capture (`browser`), the whole way (`e2e`) and the packed package (`package`). */
export default defineConfig({
  testDir: 'tests',
  outputDir: 'test-results',
  snapshotPathTemplate: '{testDir}/{arg}{ext}',
  fullyParallel: false,
  workers: 2,
  forbidOnly: process.env.CI !== undefined,
  retries: 0,
  reporter: [['list', { printSteps: false }]],
  use: {
    headless: true,
    launchOptions: { executablePath: chromiumPath(), args: [...CHROMIUM_FLAGS] },
    trace: 'retain-on-failure',
  },
  projects: [
    { name: 'browser', testDir: 'tests/browser' },
    {
      name: 'e2e',
      testDir: 'tests/e2e',
      testIgnore: DEFAULTS,
      timeout: FIVE_MINUTES,
    },
    { name: 'e2e-defaults', testDir: 'tests/e2e', testMatch: DEFAULTS },
    { name: 'package', testDir: 'tests/package', timeout: FIVE_MINUTES },
  ],
})
