/** What a page holds in memory while much is synced, beside what it holds while little is. */

import type { BrowserContext, CDPSession } from '@playwright/test'
import { type Origin, openModule } from '../support/page'
import type * as BenchPage from './entry'
import type { Sink } from './sink'

const [FEW, MANY] = [10_000, 100_000]

/** The most that was held: WebAssembly's memory, and what JavaScript could not let go of. */
export interface Peak {
  what: string
  baseline: string
  budget: number
  ratio: number
  bytes: number
  baselineBytes: number
}

export async function memory(context: BrowserContext, origin: Origin, sink: Sink): Promise<Peak[]> {
  const peaks: Peak[] = []
  for (const work of ['pushing', 'pulling'] as const) {
    const url = (count: number) => (work === 'pulling' ? sink.full(count) : sink.url)
    const baselineBytes = await peakOf(context, origin, work, url(FEW), FEW)
    const bytes = await peakOf(context, origin, work, url(MANY), MANY)
    peaks.push({
      what: `memory while ${work} 100,000 records`,
      baseline: 'of 10,000',
      budget: 1.5,
      ratio: bytes / baselineBytes,
      bytes,
      baselineBytes,
    })
  }
  return peaks
}

/** A peak as a line of text. */
export function peakLine({ what, baseline, budget, ratio, bytes, baselineBytes }: Peak): string {
  const mib = (amount: number) => `${(amount / 2 ** 20).toFixed(1)} MiB`
  return `${what}: ${mib(bytes)}, ${mib(baselineBytes)} ${baseline}: ${ratio.toFixed(2)} ×, budget ≤ ${budget.toFixed(2)} ×`
}

async function peakOf(
  context: BrowserContext,
  origin: Origin,
  work: 'pushing' | 'pulling',
  url: string,
  count: number,
): Promise<number> {
  const page = await context.newPage()
  const bench = await openModule<typeof BenchPage>(page, origin)
  await bench.evaluate((module, [w, to, all]) => module.prepareWork(w, to, all), [
    work,
    url,
    count,
  ] as const)
  const session = await context.newCDPSession(page)
  let peak = 0
  let working = true
  const done = bench
    .evaluate((module) => module.doWork())
    .finally(() => {
      working = false
    })
  while (working) {
    peak = Math.max(peak, await held(session))
  }
  await done
  const wasm = await bench.evaluate((module) => module.wasmBytes())
  await page.close()
  return peak + wasm
}

/** Bytes that JavaScript holds, after what is garbage was collected. */
async function held(session: CDPSession): Promise<number> {
  await session.send('HeapProfiler.collectGarbage')
  const { usedSize } = await session.send('Runtime.getHeapUsage')
  return usedSize
}
