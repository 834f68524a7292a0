/** How soon an app can write, and how soon it knows what waits. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium } from '@playwright/test'
import { CHROMIUM_FLAGS, chromiumPath } from '../support/chromium'
import { type Origin, openModule, serveModule } from '../support/page'
import type * as BenchPage from './entry'
import { compare, type Row } from './rows'

/** From the load of a page in a fresh profile to its first put that is committed. */
export async function firstPut(rounds: number): Promise<Row> {
  const [raw, tracked] = await Promise.all([
    serveModule('tests/bench/first-raw.ts', { production: true }),
    serveModule('tests/bench/first-tracked.ts', { production: true }),
  ])
  const row = await compare({
    what: 'page load to first committed put, fresh profile',
    baseline: 'raw',
    budget: 1.3,
    rounds,
    ours: () => inFreshProfile(tracked),
    theirs: () => inFreshProfile(raw),
  })
  await Promise.all([raw.close(), tracked.close()])
  return row
}

async function inFreshProfile(origin: Origin): Promise<number> {
  const profile = await mkdtemp(join(tmpdir(), 'tidesync-bench-'))
  const context = await chromium.launchPersistentContext(profile, {
    headless: true,
    executablePath: chromiumPath(),
    args: [...CHROMIUM_FLAGS],
  })
  try {
    const page = await context.newPage()
    const app = await openModule<{ firstPut: Promise<number> }>(page, origin)
    return await app.evaluate((module) => module.firstPut)
  } finally {
    await context.close()
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  }
}

/**
 * From opening a database to the first status that says whether anything waits, and to the one that has
 * counted it, each time in a page anew.
 */
export async function firstStatus(
  context: BrowserContext,
  origin: Origin,
  url: string,
  rounds: number,
): Promise<Row[]> {
  const page = await context.newPage()
  const load = () => openModule<typeof BenchPage>(page, origin)
  const all = 100_000
  const reopen = (name: string, pending: number, until: BenchPage.Until) => async () =>
    (await load()).evaluate((module, [n, p, u, w]) => module.reopen(n, p, u, w), [
      name,
      pending,
      url,
      until,
    ] as const)
  for (const [name, pending] of [
    ['full', all],
    ['empty', 0],
  ] as const) {
    await (await load()).evaluate((module, [n, p, u]) => module.fill(n, p, u), [
      name,
      pending,
      url,
    ] as const)
  }
  const rows: Row[] = []
  for (const [until, what, budget] of [
    ['told', 'first status after re-opening with 100,000 pending', 1.5],
    ['counted', 'the same until they are counted', Number.NaN],
  ] as const) {
    const row = await compare({
      what,
      baseline: 'with none',
      budget,
      rounds,
      ours: reopen('full', all, until),
      theirs: reopen('empty', 0, until),
    })
    rows.push(row)
  }
  await page.close()
  return rows
}
