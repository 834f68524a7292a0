/**
 * Measures Tidesync beside its baselines in one Chromium, round by round, and prints the median of
 * each with its spread. Absolute times depend on the machine; the ratios are what counts.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type JSHandle, type Page } from '@playwright/test'
import { CHROMIUM_FLAGS, chromiumPath } from '../support/chromium'
import { openModule, serveModule } from '../support/page'
import { type TrafficRow, traffic } from './bandwidth'
import type * as BenchPage from './page'
import { type Sink, startSink } from './sink'

/** One figure beside its baseline. */
interface Row {
  what: string
  baseline: string
  budget: number
  ratio: number
  ms: number
  spreadMs: [number, number]
  baselineMs: number
  baselineSpreadMs: [number, number]
  rounds: number
}

interface Pair {
  what: string
  baseline: string
  budget: number
  rounds: number
  ours: (seed: number) => Promise<number>
  theirs: (seed: number) => Promise<number>
}

type Bench = JSHandle<typeof BenchPage>

/** A mobile network: 10 Mbit/s, 40 ms. */
const SHAPED = { offline: false, latency: 40, downloadThroughput: 1.25e6, uploadThroughput: 1.25e6 }

export async function main(args: readonly string[]): Promise<void> {
  const rounds = Number(args.find((arg) => arg.startsWith('--rounds='))?.slice(9) ?? 9)
  const profile = await mkdtemp(join(tmpdir(), 'tidesync-bench-'))
  const sink = await startSink()
  const origin = await serveModule('tests/bench/page.ts')
  const context = await chromium.launchPersistentContext(profile, {
    headless: true,
    executablePath: chromiumPath(),
    args: [...CHROMIUM_FLAGS],
  })
  try {
    const page = await context.newPage()
    const bench = await openModule<typeof BenchPage>(page, origin)
    const rows = [
      ...(await writes(bench, rounds)),
      await push(page, bench, sink, rounds, 'loopback'),
      await push(page, bench, sink, Math.min(rounds, 5), 'shaped'),
      await pull(bench, sink, rounds),
    ]
    print(rows, await traffic(bench, sink), args.includes('--json'))
  } finally {
    await context.close()
    await origin.close()
    sink.close()
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  }
}

async function writes(bench: Bench, rounds: number): Promise<Row[]> {
  const ways: [string, number, number, number, number][] = [
    ['bulk write of 10,000 records, one transaction', 10_000, 10_000, 1.1, rounds],
    ['10,000 records in 100 transactions of 100', 10_000, 100, 1.15, rounds],
    ['60 single puts, one transaction each', 60, 1, 1.15, rounds * 6],
  ]
  const rows: Row[] = []
  for (const [what, count, each, budget, times] of ways) {
    for (const baseline of ['raw', 'outbox'] as const) {
      await bench.evaluate((page) => page.prepare())
      const time = (way: BenchPage.Way) => (seed: number) =>
        bench.evaluate((page, [w, c, e, s]) => page.write(w, c, e, s), [
          way,
          count,
          each,
          seed,
        ] as const)
      const row = await compare({
        what,
        baseline,
        budget: baseline === 'raw' ? budget : Number.NaN,
        rounds: times,
        ours: time('tracked'),
        theirs: time(baseline),
      })
      rows.push(row)
    }
  }
  return rows
}

async function push(
  page: Page,
  bench: Bench,
  sink: Sink,
  rounds: number,
  network: 'loopback' | 'shaped',
): Promise<Row> {
  await bench.evaluate((module) => module.prepare())
  const compression = network === 'shaped' ? 'always' : 'never'
  await bench.evaluate((module, [url, how]) => module.startEngine(url, how), [
    sink.url,
    compression,
  ] as const)
  const session = await page.context().newCDPSession(page)
  if (network === 'shaped') {
    await session.send('Network.emulateNetworkConditions', SHAPED)
  }
  const pending = (way: BenchPage.Way, seed: number) =>
    bench.evaluate((module, [w, s]) => module.write(w, 10_000, 1_000, s), [way, seed] as const)
  const row = await compare({
    what: `push of 10,000 pending, ${network === 'shaped' ? '10 Mbit/s and 40 ms' : 'loopback'}`,
    baseline: 'outbox',
    budget: network === 'shaped' ? 0.33 : 0.65,
    rounds,
    ours: async (seed) => {
      await pending('tracked', seed)
      return bench.evaluate((module) => module.pushTracked())
    },
    theirs: async (seed) => {
      await pending('outbox', seed)
      return bench.evaluate((module, url) => module.pushOutbox(url), sink.url)
    },
  })
  await session.detach()
  return row
}

async function pull(bench: Bench, sink: Sink, rounds: number): Promise<Row> {
  const count = 10_000
  return compare({
    what: 'pull of 10,000 into the store of the app, loopback',
    baseline: 'fetch and put in pages of 1,000',
    budget: 0.8,
    rounds,
    ours: async () => {
      await bench.evaluate((module, url) => module.preparePull('tracked', url), sink.fullUrl)
      return bench.evaluate((module, all) => module.pullTracked(all), count)
    },
    theirs: async () => {
      await bench.evaluate((module, url) => module.preparePull('raw', url), sink.url)
      return bench.evaluate((module, [url, all]) => module.pullRaw(url, all), [
        sink.url,
        count,
      ] as const)
    },
  })
}

/** Interleaved rounds after one that is not counted; who goes first alternates. */
async function compare(pair: Pair): Promise<Row> {
  const ours: number[] = []
  const theirs: number[] = []
  for (let round = 0; round <= pair.rounds; round++) {
    const seed = round + 1
    const both: [number[], (seed: number) => Promise<number>][] = [
      [ours, pair.ours],
      [theirs, pair.theirs],
    ]
    for (const [times, run] of round % 2 === 0 ? both : both.reverse()) {
      const ms = await run(seed)
      if (round > 0) {
        times.push(ms)
      }
    }
  }
  const [ms, baselineMs] = [quantile(ours, 0.5), quantile(theirs, 0.5)]
  return {
    what: pair.what,
    baseline: pair.baseline,
    budget: pair.budget,
    ratio: ms / baselineMs,
    ms,
    spreadMs: [quantile(ours, 0.25), quantile(ours, 0.75)],
    baselineMs,
    baselineSpreadMs: [quantile(theirs, 0.25), quantile(theirs, 0.75)],
    rounds: pair.rounds,
  }
}

function quantile(values: readonly number[], at: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.round((sorted.length - 1) * at)] ?? Number.NaN
}

function print(rows: readonly Row[], traffic: readonly TrafficRow[], json: boolean): void {
  if (json) {
    console.log(JSON.stringify({ times: rows, traffic }, null, 2))
    return
  }
  console.log('Median (quartiles) of interleaved rounds, Chromium, profile on disk')
  for (const row of rows) {
    const budget = Number.isNaN(row.budget) ? '' : `, budget ≤ ${row.budget.toFixed(2)} ×`
    console.log(
      `${row.what}: ${range(row.baselineMs, row.baselineSpreadMs)} ms ${row.baseline}, ` +
        `${range(row.ms, row.spreadMs)} ms Tidesync: ${row.ratio.toFixed(2)} ×${budget} (${row.rounds} rounds)`,
    )
  }
  for (const { what, baseline, unit, ours, theirs, savedPercent } of traffic) {
    console.log(
      `${what}: ${Math.round(ours).toLocaleString('en')} ${unit}, ` +
        `${Math.round(theirs).toLocaleString('en')} ${baseline}: ${savedPercent.toFixed(1)} % less`,
    )
  }
}

function range(ms: number, [low, high]: [number, number]): string {
  return `${ms.toFixed(1)} (${low.toFixed(1)}–${high.toFixed(1)})`
}
