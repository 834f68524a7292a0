/**
 * Measures Tidesync beside its baselines in one Chromium, round by round, and prints the median of
 * each with its spread. Absolute times depend on the machine; the ratios are what counts.
 */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium, type Page } from '@playwright/test'
import { CHROMIUM_FLAGS, chromiumPath } from '../support/chromium'
import { openModule, serveModule } from '../support/page'
import { type TrafficRow, traffic } from './bandwidth'
import type * as BenchPage from './entry'
import { memory, type Peak, peakLine } from './memory'
import { firstPut, firstStatus } from './opening'
import { type Bench, compare, line, type Row } from './rows'
import { type Sink, startSink } from './sink'
import { putsWhile } from './waits'

interface Figures {
  readonly times: Row[]
  readonly traffic: TrafficRow[]
  readonly peaks: Peak[]
}

/** A mobile network: 10 Mbit/s, 40 ms. */
const SHAPED = { offline: false, latency: 40, downloadThroughput: 1.25e6, uploadThroughput: 1.25e6 }

export async function main(args: readonly string[]): Promise<void> {
  const rounds = Number(args.find((arg) => arg.startsWith('--rounds='))?.slice(9) ?? 9)
  const only = args.find((arg) => arg.startsWith('--only='))?.slice(7)
  const profile = await mkdtemp(join(tmpdir(), 'tidesync-bench-'))
  const sink = await startSink()
  const origin = await serveModule('tests/bench/entry.ts')
  const context = await chromium.launchPersistentContext(profile, {
    headless: true,
    executablePath: chromiumPath(),
    args: [...CHROMIUM_FLAGS],
  })
  try {
    const page = await context.newPage()
    const bench = await openModule<typeof BenchPage>(page, origin)
    const groups: Readonly<Record<string, () => Promise<Partial<Figures>>>> = {
      writes: async () => ({ times: await writes(bench, rounds) }),
      push: async () => ({
        times: [
          await push(page, bench, sink, rounds, 'loopback'),
          await push(page, bench, sink, Math.min(rounds, 5), 'shaped'),
        ],
      }),
      pull: async () => ({ times: [await pull(bench, sink, rounds)] }),
      waits: async () => ({
        times: [
          await putsWhile(bench, sink, rounds, 'pushing'),
          await putsWhile(bench, sink, rounds, 'pulling'),
        ],
      }),
      opening: async () => ({
        times: [await firstPut(rounds), ...(await firstStatus(context, origin, sink.url, rounds))],
      }),
      memory: async () => ({ peaks: await memory(context, origin, sink) }),
      traffic: async () => ({ traffic: await traffic(bench, sink) }),
    }
    const figures: Figures = { times: [], traffic: [], peaks: [] }
    for (const [name, measure] of Object.entries(groups)) {
      if (only !== undefined && only !== name) continue
      const { times = [], traffic = [], peaks = [] } = await measure()
      figures.times.push(...times)
      figures.traffic.push(...traffic)
      figures.peaks.push(...peaks)
    }
    print(figures, args.includes('--json'))
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
      await bench.evaluate((module, url) => module.preparePull('tracked', url), sink.full(count))
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

function print(figures: Figures, json: boolean): void {
  if (json) {
    console.log(JSON.stringify(figures, null, 2))
    return
  }
  const { times, traffic, peaks } = figures
  console.log('Median (quartiles) of interleaved rounds, Chromium, profile on disk')
  for (const row of times) console.log(line(row))
  for (const peak of peaks) console.log(peakLine(peak))
  for (const { what, baseline, unit, ours, theirs, savedPercent } of traffic) {
    console.log(
      `${what}: ${Math.round(ours).toLocaleString('en')} ${unit}, ` +
        `${Math.round(theirs).toLocaleString('en')} ${baseline}: ${savedPercent.toFixed(1)} % less`,
    )
  }
}
