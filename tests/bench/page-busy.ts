/** The app writes while a sync is under way, and what the page holds in memory then. */

import { committed, opened, prepare, preparePull, startEngine, syncNow, write } from './page'
import { notes } from './records'

/** What goes on beside the app's writes. */
export type Work = 'nothing' | 'pushing' | 'pulling'

/** How often the app writes, and how many times where nothing else says when to stop. */
const EVERY_MS = 10
const PUTS = 100

let memory: WebAssembly.Memory | undefined
for (const name of ['instantiate', 'instantiateStreaming'] as const) {
  const instantiate = WebAssembly[name] as (...args: unknown[]) => Promise<unknown>
  Object.defineProperty(WebAssembly, name, {
    value: async (...args: unknown[]) => {
      const result = (await instantiate(...args)) as WebAssembly.WebAssemblyInstantiatedSource
      memory = (result.instance ?? result).exports.memory as WebAssembly.Memory
      return result
    },
  })
}

/** Bytes of WebAssembly's memory, which never shrinks. */
export function wasmBytes(): number {
  return memory?.buffer.byteLength ?? 0
}

/** Makes `count` records wait to be pushed, or to be pulled. */
export async function prepareWork(work: Work, url: string, count: number): Promise<void> {
  if (work === 'pulling') {
    await preparePull('tracked', url)
    return
  }
  await prepare()
  await startEngine(url, 'never')
  for (let first = 0; work === 'pushing' && first < count; first += 10_000) {
    await write('tracked', Math.min(count - first, 10_000), 1_000, 7 + first)
  }
}

/** Does the work that was prepared. */
export async function doWork(): Promise<void> {
  if (!(await syncNow())) {
    throw new Error('not everything was synced')
  }
}

/** How long the app's single puts take, in milliseconds, of which 95 % take less. */
export async function putsWhile(work: Work): Promise<number> {
  const waits: number[] = []
  let working = work !== 'nothing'
  const done = working ? syncNow().finally(() => (working = false)) : undefined
  for (const note of notes(10_000, 5)) {
    if (!working && (work !== 'nothing' || waits.length === PUTS)) break
    const started = performance.now()
    const transaction = opened('tracked').transaction('notes', 'readwrite')
    transaction.objectStore('notes').put(note)
    await committed(transaction)
    waits.push(performance.now() - started)
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
  }
  await done
  waits.sort((a, b) => a - b)
  return waits[Math.ceil(waits.length * 0.95) - 1] ?? Number.NaN
}
