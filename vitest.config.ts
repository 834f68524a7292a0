import { defineConfig } from 'vitest/config'

/** Tests of TypeScript that needs no browser. What touches IndexedDB runs in Chromium (playwright.config.ts). */
export default defineConfig({
  test: {
    include: [
      'www/src/**/*.test.{ts,tsx}',
      'www/demo/**/*.test.{ts,tsx}',
      'tests/unit/**/*.test.{ts,tsx}',
    ],
    environment: 'node',
    restoreMocks: true,
    passWithNoTests: false,
  },
})
