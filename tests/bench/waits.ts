/** How long the app's own writes wait while a sync is under way. */

import { type Bench, compare, type Row } from './rows'
import type { Sink } from './sink'

/** The 95th percentile of single puts beside that of an engine with nothing to do. */
export function putsWhile(
  bench: Bench,
  sink: Sink,
  rounds: number,
  work: 'pushing' | 'pulling',
): Promise<Row> {
  const count = 10_000
  const url = work === 'pulling' ? sink.full(count) : sink.url
  const p95 = async (what: 'nothing' | typeof work) => {
    await bench.evaluate((module, [w, to, all]) => module.prepareWork(w, to, all), [
      what,
      url,
      count,
    ] as const)
    return bench.evaluate((module, w) => module.putsWhile(w), what)
  }
  return compare({
    what: `single puts, p95, while ${work} 10,000`,
    baseline: 'with nothing to sync',
    budget: 3,
    rounds,
    ours: () => p95(work),
    theirs: () => p95('nothing'),
  })
}
