/** What travels: bytes and requests of pushes, beside sending whole records and the whole database. */

import type { Bench } from './rows'
import type { Sink } from './sink'

/** Bytes or requests of a workload, beside a baseline's. */
export interface TrafficRow {
  what: string
  baseline: string
  unit: 'bytes' | 'requests'
  ours: number
  theirs: number
  /** How much less than the baseline, in percent. */
  savedPercent: number
}

const WIDE = { records: 1_000, fields: 50 }
/** A day: 40 times somebody edits 5 records, 5 fields each, and what was edited is sent. */
const DAY = { sessions: 40, records: 5, edits: 5 }

export async function traffic(bench: Bench, sink: Sink): Promise<TrafficRow[]> {
  return [
    ...(await oneField(bench, sink)),
    ...(await day(bench, sink, 'never')),
    ...(await day(bench, sink, 'always')),
    ...(await bulk(bench, sink)),
  ]
}

async function oneField(bench: Bench, sink: Sink): Promise<TrafficRow[]> {
  const what = 'one field changed in each of 100 records of 50 fields, sent together'
  const full = await start(bench, sink, 'never')
  const touched = await bench.evaluate((page) => page.editWide([...Array(100).keys()], 1))
  await bench.evaluate((page) => page.pushTracked())
  const { bytes } = sink.take()
  return [
    row(what, 'the whole records', 'bytes', bytes, touched),
    row(what, 'the whole database', 'bytes', bytes, full),
    row(`${what}: a change`, '83, the least of others', 'bytes', bytes / 100, 83),
  ]
}

async function day(
  bench: Bench,
  sink: Sink,
  compression: 'always' | 'never',
): Promise<TrafficRow[]> {
  const { sessions, records, edits } = DAY
  const how = compression === 'always' ? 'compressed' : 'plain'
  const what = `a day's editing, ${sessions * records * edits} changes of a field in ${sessions} sittings, ${how}`
  const full = await start(bench, sink, compression)
  let touched = 0
  for (let session = 0; session < sessions; session++) {
    const ids = Array.from({ length: records }, (_, index) => (session * 7 + index * 13) % 1_000)
    touched += await bench.evaluate((page, [all, each]) => page.editWide(all, each), [
      ids,
      edits,
    ] as const)
    await bench.evaluate((page) => page.pushTracked())
  }
  const { bytes, requests } = sink.take()
  return [
    row(what, 'the whole records, plain', 'bytes', bytes, touched),
    row(what, 'the whole database each time, plain', 'bytes', bytes, full * sessions),
    row(what, 'a request for each change', 'requests', requests, sessions * records * edits),
  ]
}

async function bulk(bench: Bench, sink: Sink): Promise<TrafficRow[]> {
  const rows: TrafficRow[] = []
  for (const compression of ['never', 'always'] as const) {
    await bench.evaluate((page) => page.prepare())
    await bench.evaluate((page, [url, how]) => page.startEngine(url, how), [
      sink.url,
      compression,
    ] as const)
    await bench.evaluate((page) => page.write('tracked', 10_000, 1_000, 1))
    sink.take()
    await bench.evaluate((page) => page.pushTracked())
    const { bytes } = sink.take()
    const plain = await bench.evaluate((page) => page.jsonBytes())
    const how = compression === 'always' ? 'compressed' : 'plain'
    const what = `10,000 new records, ${how}`
    rows.push(row(what, 'their JSON, plain', 'bytes', bytes, plain))
  }
  return rows
}

/** Wide records that the server has; gives the bytes of all of them. */
async function start(bench: Bench, sink: Sink, compression: 'always' | 'never'): Promise<number> {
  await bench.evaluate((page) => page.prepare())
  await bench.evaluate((page, [url, how]) => page.startEngine(url, how), [
    sink.url,
    compression,
  ] as const)
  const full = await bench.evaluate((page, wide) => page.writeWide(wide.records, wide.fields), WIDE)
  await bench.evaluate((page) => page.pushTracked())
  sink.take()
  return full
}

function row(
  what: string,
  baseline: string,
  unit: TrafficRow['unit'],
  ours: number,
  theirs: number,
): TrafficRow {
  return { what, baseline, unit, ours, theirs, savedPercent: (1 - ours / theirs) * 100 }
}
