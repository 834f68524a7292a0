/** Figures beside their baselines: how they are measured, and how they are told. */

import type { JSHandle } from '@playwright/test'
import type * as BenchPage from './entry'

/** What runs in the page. */
export type Bench = JSHandle<typeof BenchPage>

/** One figure beside its baseline. */
export interface Row {
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

export interface Pair {
  what: string
  baseline: string
  budget: number
  rounds: number
  ours: (seed: number) => Promise<number>
  theirs: (seed: number) => Promise<number>
}

/** Interleaved rounds after one that is not counted; who goes first alternates. */
export async function compare(pair: Pair): Promise<Row> {
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

export function quantile(values: readonly number[], at: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.round((sorted.length - 1) * at)] ?? Number.NaN
}

/** A row as a line of text. */
export function line(row: Row): string {
  const budget = Number.isNaN(row.budget) ? '' : `, budget ≤ ${row.budget.toFixed(2)} ×`
  return (
    `${row.what}: ${range(row.baselineMs, row.baselineSpreadMs)} ms ${row.baseline}, ` +
    `${range(row.ms, row.spreadMs)} ms Tidesync: ${row.ratio.toFixed(2)} ×${budget} (${row.rounds} rounds)`
  )
}

function range(ms: number, [low, high]: [number, number]): string {
  return `${ms.toFixed(1)} (${low.toFixed(1)}–${high.toFixed(1)})`
}
